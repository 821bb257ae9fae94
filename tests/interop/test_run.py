"""``importtrace run``: the program's exit code, signals, stdin, argv and __main__ are its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from importtrace.inject import SITE, run

if TYPE_CHECKING:
    from pathlib import Path

RUN = (sys.executable, "-m", "importtrace", "run")

FACTS = """
import sys
main = sys.modules["__main__"]
print(repr({
    "argv": sys.argv, "path": sys.path, "file": getattr(main, "__file__", None),
    "spec": getattr(main.__spec__, "name", None), "package": main.__package__,
    "names": sorted(vars(main)), "stdin": sys.stdin.read(), "flags": str(sys.flags),
    "warnings": sys.warnoptions, "x": sys._xoptions, "executable": sys.executable,
    "modules": sorted(
        name for name in set(sys.modules) - set(sys.builtin_module_names)
        if name.partition(".")[0] != "importtrace"
    ),
}))
"""


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without anything that would trace, plus ``extra``."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key != "PYTHONPATH" and not key.startswith(("IMPORTTRACE", "OTEL_", "COVERAGE_"))
    }
    return {**kept, "IMPORTTRACE_LOG": "off", **extra}


def call(
    *command: str, cwd: Path, stdin: str = "", **extra: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        input=stdin,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=60,
    )


def same(arguments: list[str], *, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """What ``python ARGUMENTS`` does, after checking that it does the same under ``run``."""
    without = call(sys.executable, *arguments, cwd=cwd, stdin=stdin)
    traced = call(*RUN, *arguments, cwd=cwd, stdin=stdin)
    assert (traced.returncode, traced.stdout) == (without.returncode, without.stdout)
    assert traced.stderr == without.stderr
    return without


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """The message of a refusal: exit code 2, one line on stderr, nothing on stdout."""
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A script, a package and a folder with __main__.py, each printing what it sees."""
    (tmp_path / "app.py").write_text(FACTS)
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "mod.py").write_text(FACTS)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text(FACTS)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["app.py"],
        ["app.py", "-o", "x", "--mode", "none", "-m", "--", "-c"],
        ["./app.py", "--help"],
        ["folder", "a"],
        ["-m", "pkg.mod", "-o", "x", "a b"],
        ["-c", FACTS, "-x", "--", "y"],
    ],
    ids=lambda arguments: arguments[0] if arguments[0] != "-c" else "code",
)
def test_the_program_sees_what_it_would_see(arguments: list[str], program: Path) -> None:
    """argv, sys.path, __main__, stdin and loaded modules; what follows the target is its own."""
    shown = same(arguments, cwd=program, stdin="line 1\nline 2\n")
    assert "line 2" in shown.stdout


def test_a_program_on_stdin(program: Path) -> None:
    """``-`` reads the program from stdin, as python does."""
    shown = same(["-", "a"], cwd=program, stdin="import sys; print(sys.argv, sys.path[0] == '')\n")
    assert shown.stdout == "['-', 'a'] True\n"


def test_a_file_beside_the_script_shadows_as_it_does_without_us(program: Path) -> None:
    """Nothing that we or runpy would load stands in front of the program's own types.py.

    -I is for our own interpreter: ``python -m`` would take runpy's own types from this folder.
    """
    for name in ("types", "argparse", "json", "config"):
        (program / f"{name}.py").write_text("where = 'the one beside the script'\n")
    (program / "shadow.py").write_text(
        "import sys\n"
        "for name in ('types', 'argparse', 'json', 'config'):\n"
        "    print(name, getattr(__import__(name), 'where', 'the standard one'))\n"
    )
    without = call(sys.executable, "shadow.py", cwd=program)
    traced = call(sys.executable, "-I", *RUN[1:], "shadow.py", cwd=program)
    assert (traced.returncode, traced.stdout) == (without.returncode, without.stdout)
    assert "argparse the one beside the script" in without.stdout


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "import sys; sys.exit(3)",
        "import sys; sys.exit('a message')",
        "import os; os._exit(7)",
        "1/0",
        "import not_there_at_all_xyz",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
        "import os, signal; os.kill(os.getpid(), signal.SIGPIPE); print('ignored')",
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_exit_codes_are_the_programs(code: str, tmp_path: Path) -> None:
    """Whether it returns, exits, fails or dies of a signal."""
    without = call(sys.executable, "-c", code, cwd=tmp_path)
    traced = call(*RUN, "-c", code, cwd=tmp_path)
    assert (traced.returncode, traced.stdout) == (without.returncode, without.stdout)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("handled", [False, True])
def test_signals_reach_the_program(number: signal.Signals, handled: bool, tmp_path: Path) -> None:
    """The process that was started is the program: a supervisor's signal is not lost on us."""
    code = (
        "import os, signal, sys\n"
        + (f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n" if handled else "")
        + "print(os.getpid(), flush=True)\nsys.stdin.read()\n"
    )
    ends = []
    for command in ((sys.executable,), RUN):
        with subprocess.Popen(
            [*command, "-c", code],
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as child:
            try:
                assert child.stdout is not None
                assert int(child.stdout.readline()) == child.pid
                child.send_signal(number)
                ends.append(child.wait(timeout=30))
            finally:
                child.kill()
    assert ends[0] == ends[1] == (42 if handled else -number)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
def test_a_program_that_is_not_python_runs_as_from_a_shell(tmp_path: Path) -> None:
    """Its own name as argv[0], and no signal ignored that Python ignores for itself."""
    command = [
        "sh",
        "-c",
        'echo "$0" "$@"; grep SigIgn /proc/self/status; exit 9',
        "-o",
        "--",
        "-m",
    ]
    without = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60
    )
    traced = call(*RUN, "--", *command, cwd=tmp_path)
    assert (traced.returncode, traced.stdout) == (9, without.stdout)


def test_the_trace_goes_where_o_says(tmp_path: Path) -> None:
    """A relative name counts from where ``run`` was called, whatever the program does."""
    (tmp_path / "elsewhere").mkdir()
    code = "import os; print(os.getpid()); os.chdir('elsewhere'); import colorsys"
    result = call(*RUN, "-o", "t.{pid}.jsonl", "-c", code, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    header, *records = (tmp_path / f"t.{int(result.stdout)}.jsonl").read_text().splitlines()
    assert json.loads(header)["pid"] == int(result.stdout)
    assert "colorsys" in {json.loads(record)["module"] for record in records}


def test_a_program_on_path_is_traced_by_its_children(tmp_path: Path) -> None:
    """A shell is not Python; what it starts is traced, and no file is overwritten."""
    line = f'"{sys.executable}" -c "import os; print(os.getpid())"'
    result = call(*RUN, "-o", "t.jsonl", "--", "sh", "-c", f"{line}; {line}", cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"t.{pid}.jsonl" for pid in result.stdout.split()
    }
    assert len(result.stdout.split()) == 2


def test_options_become_variables(tmp_path: Path) -> None:
    """Each option is the variable of that name in the program's environment."""
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    options = ["--mode", "finder", "--log", "off", "--spans", "off", "--max-spans", "7"]
    options += ["--max-records", "1000", "--long-wait-ms", "5", "--export-timeout-s", "3"]
    options += ["--redact", "home,messages"]
    shown = json.loads(call(*RUN, *options, "-c", code, cwd=tmp_path, PYTHONPATH="/theirs").stdout)
    assert shown["IMPORTTRACE"] == "1"
    assert {key: shown["IMPORTTRACE_" + key] for key in ("MODE", "LOG", "SPANS", "REDACT")} == {
        "MODE": "finder",
        "LOG": "off",
        "SPANS": "off",
        "REDACT": "home,messages",
    }
    assert (shown["IMPORTTRACE_MAX_SPANS"], shown["IMPORTTRACE_MAX_RECORDS"]) == ("7", "1000")
    assert (shown["IMPORTTRACE_LONG_WAIT_MS"], shown["IMPORTTRACE_EXPORT_TIMEOUT_S"]) == ("5", "3")
    assert shown["PYTHONPATH"] == f"{SITE}{os.pathsep}/theirs"


def test_python_chooses_the_interpreter(tmp_path: Path) -> None:
    """An interpreter of another environment, which need not have importtrace."""
    base = getattr(sys, "_base_executable", sys.executable)
    code = "import sys; print(sys.prefix == sys.base_prefix, 'importtrace' in sys.modules)"
    assert call(*RUN, "--python", base, "-c", code, cwd=tmp_path).stdout == "True True\n"


def test_the_interpreters_own_options_are_the_programs(tmp_path: Path) -> None:
    """``python -O -X … -m importtrace run app`` stands for ``python -O -X … app``."""
    options = ["-O", "-bb", "-Wdefault", "-X", "faulthandler", "-P"]
    (tmp_path / "app.py").write_text(FACTS)
    without = call(sys.executable, *options, "app.py", cwd=tmp_path)
    traced = call(sys.executable, *options, *RUN[1:], "app.py", cwd=tmp_path)
    assert (traced.stdout, traced.stderr) == (without.stdout, without.stderr)


@pytest.mark.parametrize(
    ("original", "kept"),
    [
        (["python", "-m", "importtrace", "run", "-O", "x"], []),
        (["python", "-Im", "importtrace", "run"], []),
        (["python", "-BISOm", "importtrace"], ["-B", "-O"]),
        (["python", "-Xdev", "-W", "error", "-OO", "/bin/importtrace", "-X", "y"],
         ["-Xdev", "-Werror", "-O", "-O"]),
        (["python", "--check-hash-based-pycs", "never", "-c", "x"],
         ["--check-hash-based-pycs", "never"]),
        (["python", "-"], []),
        ([], []),
    ],
)  # fmt: skip
def test_which_interpreter_options_are_kept(original: list[str], kept: list[str]) -> None:
    """Everything before the target but -E, -I and -S, with which nothing could be injected."""
    assert run.interpreter_options(original) == kept


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing to run"),
        (["-o", "t.jsonl"], "nothing to run"),
        (["-m"], "nothing to run"),
        (["-c"], "nothing to run"),
        (["--"], "nothing to run"),
        (["no_such.py"], "'no_such.py'"),
        (["sh"], "importtrace run -- sh"),
        (["--", "no-such-program-xyz"], "'no-such-program-xyz'"),
        (["--python", "no-such-python", "-c", "1"], "'no-such-python'"),
        (["--mode", "fast", "-c", "1"], "--mode 'fast'"),
        (["--max-spans", "many", "-c", "1"], "--max-spans 'many'"),
        (["--redact", "names", "-c", "1"], "--redact 'names'"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], told: str, tmp_path: Path) -> None:
    """What, which, why and what next, with exit code 2, before anything has run."""
    assert told in one_line(call(*RUN, *arguments, cwd=tmp_path))


@pytest.mark.skipif(os.name == "nt", reason="execute permission")
def test_a_program_that_cannot_be_executed_is_one_line(tmp_path: Path) -> None:
    """It is there and may be executed, but the system does not know how."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x00\x01\x02")
    broken.chmod(0o755)
    assert "broken" in one_line(call(*RUN, "--", str(broken), cwd=tmp_path))


def test_where_there_is_no_exec_the_child_ends_for_us(tmp_path: Path) -> None:
    """The way of Windows: a child process, its exit code ours."""
    command = [sys.executable, sys.executable, "-c", "import sys; sys.exit(13)"]
    assert run._wait_for(command[0], command[1:], environment()) == 13


@pytest.mark.parametrize(
    ("template", "pid", "owner", "path"),
    [
        ("t.jsonl", 7, None, "t.jsonl"),
        ("t.jsonl", 7, "", "t.jsonl"),
        ("t.jsonl", 7, "7", "t.jsonl"),
        ("t.jsonl", 8, "7", "t.8.jsonl"),
        ("run.d/t", 8, "7", "run.d/t.8"),
        ("{pid}/t.{pid}{x}", 8, "7", "8/t.8{x}"),
    ],
)
def test_each_process_has_a_file_of_its_own(
    template: str, pid: int, owner: str | None, path: str
) -> None:
    """{pid} is filled in; without it, all but the owner of the name add their pid."""
    from importtrace.naming import trace_path

    assert trace_path(template, pid, owner) == path
