"""The command line: what it prints, its exit codes, one clear line for every kind of bad input."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from report_support import CAUSE, HEADER, race

from importtrace import cli, tracefile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def trace(tmp_path: Path) -> str:
    """The path of a good trace."""
    path = os.fspath(tmp_path / "t.jsonl")
    tracefile.write(race(), path)
    return path


def importtrace(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "importtrace", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


# What is printed ----------------------------------------------------------------------------


def test_report_prints_the_text_report(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Text is the default; piped, it is plain."""
    assert cli.main(["report", trace]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"importtrace report of {trace[:10]}")
    assert "Slowest modules" in out
    assert "\033" not in out
    assert err == ""


@pytest.mark.parametrize("option", [["--format", "json"], ["--json"]])
def test_report_prints_json(
    trace: str, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    """A list with an object for each trace."""
    assert cli.main(["report", *option, trace, trace]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["trace"] for one in found] == [trace, trace]
    assert found[0]["totals"]["modules"] == 5


def test_report_writes_to_a_file(
    trace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With -o the report is in the file, without colours, and stdout stays empty."""
    target = tmp_path / "report.txt"
    assert cli.main(["report", trace, "-o", os.fspath(target)]) == 0
    assert "Tree: who loaded what" in target.read_text()
    assert capsys.readouterr().out == ""


def test_explain_prints_the_causes(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each failure with its thread, its error and its cause; what was handled is only counted."""
    assert cli.main(["explain", trace]) == 0
    out = capsys.readouterr().out
    assert "1 failed import" in out
    assert "1. shop.errors, in warm-up-1, 12.0 ms after the start" in out
    assert "ImportError: cannot import name 'AgentError'" in out
    assert "warm-up-2 was still building shop.agent" in out
    assert "fast_json" not in out
    assert "1 more, handled by the program" in out


def test_explain_all_includes_what_was_handled(
    trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An optional dependency that is not there is no news, unless one asks."""
    assert cli.main(["explain", "--all", trace]) == 0
    out = capsys.readouterr().out
    assert "2 failed imports" in out
    assert "fast_json" in out


def test_explain_json_is_the_contract(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A list of {"import", "cause"}, handled ones too: the record says which is which."""
    assert cli.main(["explain", "--json", trace]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [set(one) for one in found] == [{"import", "cause"}] * 2
    assert [one["cause"]["kind"] for one in found] == ["thread_race", "not_found"]
    assert [one["import"]["handled"] for one in found] == [False, True]


def test_a_failure_outside_any_load_is_explained_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`from done import nothing` in the entry script: no record stands for it, the header does."""
    cause = CAUSE | {"message": "cannot import name 'x' from 'y'", "summary": "y has no x"}
    path = os.fspath(tmp_path / "t.jsonl")
    tracefile.write(race(failures=[cause]), path)
    assert cli.main(["explain", "--json", path]) == 0
    assert json.loads(capsys.readouterr().out)[-1] == {"import": None, "cause": cause}
    for command in ("explain", "report"):
        assert cli.main([command, path]) == 0
        out = capsys.readouterr().out
        assert "outside any load" in out
        assert "y has no x" in out


def test_explain_of_a_good_start_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Silence could mean anything."""
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(HEADER) + "\n")
    assert cli.main(["explain", os.fspath(path)]) == 0
    assert "no import failed" in capsys.readouterr().out


def test_a_truncated_trace_is_reported_with_a_line_that_says_so(
    trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A crash cuts the last line; the rest is worth reading, and nobody takes it for the whole."""
    with open(trace, "r+") as file:
        file.truncate(os.path.getsize(trace) - 40)
    assert cli.main(["report", trace]) == 0
    out = capsys.readouterr().out
    assert "damaged: line 8: truncated" in out
    assert "shop.errors" in out


def test_version_names_both(capsys: pytest.CaptureFixture[str]) -> None:
    """The version of importtrace and of the interpreter, as a bug report needs them."""
    assert cli.main(["version"]) == 0
    first = capsys.readouterr().out
    assert re.fullmatch(r"importtrace \S+, CPython 3\.\d+\.\S+\n", first)
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == first


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The commands are listed; the exit code says that nothing was done."""
    assert cli.main([]) == 2
    out = capsys.readouterr().out
    for command in ("run", "explain", "report", "demo", "version"):
        assert re.search(rf"^ +{command} +\S", out, flags=re.M)


# Bad input ----------------------------------------------------------------------------------


def bad_files(folder: Path) -> dict[str, tuple[str, str]]:
    """name: (path, what the line must say)."""
    good = json.dumps(HEADER)
    contents: dict[str, tuple[bytes, str]] = {
        "empty": (b"", "trace"),
        "binary": (bytes(range(256)) * 40, "not an importtrace file"),
        "foreign": (b'{"level": "info"}\n', "not an importtrace file"),
        "newer": (good.replace('"schema": 1', '"schema": 9').encode(), "schema 9"),
        "half a header": (good[:-30].encode(), "not an importtrace file"),
    }
    found = {}
    for name, (content, says) in contents.items():
        path = folder / name
        path.write_bytes(content)
        found[name] = (os.fspath(path), says)
    found["missing"] = (os.fspath(folder / "absent"), "No such file")
    found["directory"] = (os.fspath(folder), "is a directory")
    return found


@pytest.mark.parametrize("command", ["report", "explain"])
@pytest.mark.parametrize(
    "kind",
    ["empty", "binary", "foreign", "newer", "half a header", "missing", "directory"],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, kind: str
) -> None:
    """What, which and what next, on stderr; nothing on stdout; never a traceback."""
    path, says = bad_files(tmp_path)[kind]
    assert cli.main([command, path]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"importtrace: .+ \[bad-trace\]\n", err)
    assert path in err
    assert says in err
    assert ";" in err


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_a_file_one_may_not_read_is_named(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The system's own reason is passed on."""
    os.chmod(trace, 0)
    assert cli.main(["report", trace]) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_one_bad_trace_among_good_ones_prints_no_half_answer(
    trace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All traces are read before anything is printed."""
    assert cli.main(["report", trace, os.fspath(tmp_path / "absent")]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("target", ["", "absent/report.txt"])
def test_an_output_that_cannot_be_written_is_named(
    trace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    """A directory, or a file in one that does not exist."""
    path = os.fspath(tmp_path / target)
    assert cli.main(["report", trace, "-o", path]) == 2
    err = capsys.readouterr().err
    assert path in err
    assert err.count("\n") == 1


def test_a_report_does_not_overwrite_its_trace(
    trace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The evidence is not replaced by its summary."""
    before = tracefile.read(trace)
    assert cli.main(["report", trace, "-o", trace]) == 2
    assert "would overwrite" in capsys.readouterr().err
    assert tracefile.read(trace) == before


@pytest.mark.parametrize(
    "arguments", [["report"], ["explain"], ["report", "t", "--format", "pdf"], ["dance"]]
)
def test_a_wrong_command_line_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """What is wrong and where the help is; exit code 2."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--help" in err


@pytest.mark.parametrize("arguments", [["report", "t", "--tree"], ["run", "--fast", "app.py"]])
def test_an_unknown_option_names_the_help_that_has_the_others(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """The command's own, not the list of commands."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    command = f"importtrace {arguments[0]}"
    err = capsys.readouterr().err
    assert err.startswith(f"{command}: unrecognized arguments: --")
    assert err.endswith(f'; see "{command} --help"\n')


def test_what_cannot_be_read_is_not_told_as_output_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that no command expected: the file that it names is said."""

    def refused(given: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", "/srv/app")

    monkeypatch.setattr(cli, "_dispatch", refused)
    monkeypatch.setattr(cli, "_silence_stdout", lambda: None)
    assert cli.main(["version"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("importtrace: cannot use '/srv/app': Permission denied; ")
    assert err.count("\n") == 1


def test_a_cause_that_nobody_could_have_written_is_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cause edited by hand: its summary is shown as far as there is one."""
    good = race()
    lines = [json.loads(line) for line in tracefile.dumps(good).splitlines()]
    lines[3]["cause"] = {"summary": "still readable", "waits": [7], "cycle": 3}
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert cli.main(["explain", os.fspath(path)]) == 0
    assert "still readable" in capsys.readouterr().out


# As a process -------------------------------------------------------------------------------


def test_the_module_is_the_command(trace: str) -> None:
    """`python -m importtrace` prints what `importtrace` prints."""
    done = importtrace("report", trace)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("importtrace report of")


def test_a_reader_that_goes_away_ends_it_quietly(trace: str) -> None:
    """`importtrace report … | head -1`: no traceback, and no complaint at exit."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "importtrace", "report", trace],
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_line(trace: str) -> None:
    """The report is lost and says so, once."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "importtrace", "report", trace],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert re.fullmatch(r"importtrace: cannot write the output: .+\n", done.stderr)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    """Interrupted while it waits for its input: exit code 130, nothing on stderr."""
    pipe = os.fspath(tmp_path / "pipe")
    os.mkfifo(pipe)
    child = subprocess.Popen(
        [sys.executable, "-m", "importtrace", "report", pipe],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    # Opening the other end returns once the child has opened its own: it is now reading.
    with open(pipe, "w"):
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (130, b"", b"")


def test_a_terminal_that_is_not_utf8_is_no_reason_to_fail(tmp_path: Path) -> None:
    """Names that the terminal cannot show are escaped."""
    trace = race(argv0="caf\xe9.py")
    path = os.fspath(tmp_path / "t.jsonl")
    tracefile.write(trace, path)
    done = importtrace("report", path, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "caf\\xe9.py" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_are_for_terminals_that_want_them(
    trace: str, environment: dict[str, str], coloured: bool
) -> None:
    """On a terminal yes, unless NO_COLOR is set or the terminal says that it is dumb."""
    ours, theirs = os.openpty()
    env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    child = subprocess.Popen(
        [sys.executable, "-m", "importtrace", "report", trace],
        stdout=theirs,
        env=env | {"TERM": "xterm"} | environment,
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:
        pass  # EIO: the child has closed its end
    finally:
        os.close(ours)
    assert child.wait(timeout=60) == 0
    assert (b"\033[" in shown) is coloured
    assert b"Slowest modules" in shown


def test_a_command_imports_only_what_it_needs() -> None:
    """Asking for the version loads neither the analysis nor an exporter."""
    code = (
        "import sys; from importtrace import cli; cli.main(['version']);"
        "print(sorted(m for m in sys.modules if m.startswith('importtrace.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = done.stdout.splitlines()[-1]
    for heavy in ("analysis", "reports", "exporters", "demo", "inject"):
        assert f"importtrace.{heavy}" not in loaded
