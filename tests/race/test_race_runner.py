"""One run in a child process: what it sees, and what it may do without ending the search."""

import json
import os
import subprocess
import sys
import threading

import pytest
from race_support import write

from importtrace.race.errors import InputError
from importtrace.race.runner import Job, Runner
from importtrace.race.scenario import Scenario, SetUp
from importtrace.race.worker import executable

OURS = {"atexit", "itertools", "faulthandler", "time", "marshal", "_signal", "errno"}


def one(runner, folder, module="target", **options):
    options.setdefault("threads", False)
    return runner.run(Scenario.of(module, path=(folder,), **options), explain=False)


def test_child_has_loaded_nothing_that_a_bare_interpreter_has_not(runner, package, tmp_path):
    """What the runner loads would be hidden from the target: builtins apart, it is nothing."""
    code = "import sys\nopen({!r}, 'w').write(repr(sorted(sys.modules)))\n"
    seen = tmp_path / "seen"
    folder = package({"target.py": code.format(str(seen))})
    for threads in (False, True):
        for fork in (False, True):
            scenario = Scenario.of("target", path=(folder,), threads=threads)
            assert runner.run(scenario, explain=True, fork=fork).ok
            loaded = set(eval(seen.read_text()))
            bare = subprocess.run(
                [sys.executable, "-c", "import sys; print(sorted(sys.modules))"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            extra = loaded - set(eval(bare)) - OURS - {"target"}
            assert {name for name in extra if name.partition(".")[0] != "importtrace"} == set()
            assert extra, "importtrace itself is there"


@pytest.mark.parametrize(
    ("source", "outcome", "said"),
    [
        ("import sys; sys.exit(3)", "exit", "SystemExit"),
        ("import os; os._exit(3)", "exit", "exited with code 3"),
        ("import os; os.kill(os.getpid(), 9)", "exit", "SIGKILL"),
        ("import os; os.kill(os.getpid(), 11)", "exit", "SIGSEGV"),
        ("input()", "error", "EOFError"),
        ("import nowhere_to_be_found", "import_error", "nowhere_to_be_found"),
        ("1/0", "error", "ZeroDivisionError"),
        ("raise KeyboardInterrupt", "error", "KeyboardInterrupt"),
        ("raise type('Odd', (BaseException,), {'__str__': lambda s: 1/0})", "error", "Odd"),
        ("import sys; sys.modules.clear()", None, None),
        ("import threading; threading.Thread(target=threading.Event().wait).start()", "ok", None),
        ("import os; os.fork()", "ok", None),
        ("import os; os.fork() or os._exit(0)", "ok", None),
    ],
)
@pytest.mark.parametrize("threads", [False, True])
def test_whatever_a_module_does_is_an_outcome(runner, package, source, outcome, said, threads):
    """None of it ends the search, and the next run is as good as the first."""
    folder = package({"target.py": source + "\n", "fine.py": ""})
    result = one(runner, folder, threads=threads, run_limit_s=5.0)
    if outcome is not None:
        assert result.outcome == outcome, result
    if said is not None:
        assert said in (result.message or "")
    assert one(runner, folder, "fine", threads=threads).ok


@pytest.mark.parametrize("source", ["while True: pass", "import time; time.sleep(600)"])
@pytest.mark.parametrize("threads", [False, True])
def test_module_that_never_returns_is_a_timeout_that_says_where(runner, package, source, threads):
    """Within its limit and a grace; the file that it hangs in is named."""
    folder = package({"target.py": source + "\n"})
    result = one(runner, folder, threads=threads, run_limit_s=0.5)
    assert result.outcome == "timeout"
    assert "target.py" in (result.message or "")
    assert result.seconds < 8


def test_process_that_exits_without_a_word_is_told_by_the_body_it_was_in(runner, package):
    """`os._exit` deep inside: which module it was is known."""
    folder = package({"target.py": "import inner\n", "inner.py": "import os\nos._exit(7)\n"})
    result = one(runner, folder)
    assert result.outcome == "exit"
    assert "code 7" in result.message
    assert "inner" in result.message


def test_server_that_a_module_starts_does_not_outlive_its_run(runner, package, tmp_path):
    """A child process that was left behind is ended with the run."""
    file = tmp_path / "pid"
    source = f"""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open({str(file)!r}, "w").write(str(child.pid))
    """
    assert one(runner, package({"target.py": source})).ok
    pid = int(file.read_text())
    gone = threading.Event()
    for _ in range(200):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    break
        except OSError:
            break
        gone.wait(0.05)
    else:
        pytest.fail("it still runs")


def test_output_of_the_target_is_not_ours(package):
    """What the target prints is not printed among the answers."""
    folder = package({"target.py": "import os\nprint('NOISE')\nos.write(2, b'NOISE')\n"})
    program = (
        "from importtrace.race import Runner, Scenario\n"
        "with Runner() as runner:\n"
        f"    print(runner.run(Scenario.of('target', path=({folder!r},))).outcome)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_set_up_steps_are_taken_before_the_target(runner, package):
    """Another environment, in the child alone; in order."""
    source = "import os\nassert os.environ.get('FLAVOUR') == 'salt', os.environ.get('FLAVOUR')\n"
    steps = (
        SetUp("env", ("FLAVOUR", "sugar")),
        SetUp("env", ("FLAVOUR", "salt")),
        SetUp("env", ("PATH", None)),
        SetUp("code", ("import sys; sys.hidden = 1",)),
    )
    folder = package(
        {"target.py": source + "import sys; assert sys.hidden and 'PATH' not in os.environ\n"}
    )
    assert one(runner, folder, set_up=steps).ok
    assert "FLAVOUR" not in os.environ
    assert one(runner, folder).outcome == "error"


def test_step_that_fails_is_said(runner, package):
    """A set-up step of the caller's that raises is no failure of the target."""
    result = one(runner, package({"target.py": ""}), set_up=(SetUp("code", ("1/0",)),))
    assert result.outcome == "error"
    assert "before the import: ZeroDivisionError" in result.message


def test_many_runs_at_once_all_end(runner, package):
    """Each job comes back once, with its own result, also those that crash."""
    files = {f"m{n}.py": "import os; os._exit(9)" if n % 5 == 0 else "" for n in range(20)}
    folder = package(files)
    jobs = [Job(Scenario.of(f"m{n}", path=(folder,), threads=False), key=n) for n in range(20)]
    results = {job.key: result.outcome for job, result in runner.run_many(jobs)}
    assert results == {n: "exit" if n % 5 == 0 else "ok" for n in range(20)}


def test_modules_are_listed_without_importing_them(runner, package):
    """Packages, modules and namespace folders; not what is no module."""
    folder = package(
        {
            "kit/__init__.py": "raise RuntimeError('imported')",
            "kit/__main__.py": "",
            "kit/one.py": "",
            "kit/data/readme.txt": "",
            "kit/sub/__init__.py": "",
            "kit/sub/two.py": "",
            "loose/part/three.py": "",
        }
    )
    scenario = Scenario((), path=(folder,))
    assert sorted(runner.modules("kit", scenario)["modules"]) == [
        "kit",
        "kit.one",
        "kit.sub",
        "kit.sub.two",
    ]
    assert sorted(runner.modules("loose", scenario)["modules"]) == [
        "loose",
        "loose.part",
        "loose.part.three",
    ]
    with pytest.raises(InputError, match="no module named 'nowhere'"):
        runner.modules("nowhere", scenario)
    with pytest.raises(InputError, match=r"kit\.three"):
        runner.modules("kit.three", scenario)


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false", "/bin/cat"])
def test_interpreter_that_is_none_is_said_in_one_line(python):
    """What, which, why."""
    with Runner(python, workers=1) as runner, pytest.raises(InputError) as caught:
        runner.version  # noqa: B018  asking is the test
    assert python in str(caught.value)
    assert "\n" not in str(caught.value)


def test_interpreter_without_importtrace_can_be_used(tmp_path):
    """The package is loaded from where it is; `sys.path` of the child is the interpreter's own."""
    folder = write(
        tmp_path,
        {
            "target.py": f"import sys, json\njson.dump(sys.path, open({str(tmp_path / 'out')!r}, 'w'))\n"
        },
    )
    bare = [sys.base_prefix + f"/bin/python{sys.version_info[0]}.{sys.version_info[1]}"]
    if not os.path.exists(bare[0]):
        pytest.skip("no base interpreter beside this virtual environment")
    with Runner(bare[0], workers=1) as runner:
        assert runner.run(Scenario.of("target", path=(folder,))).ok
    import importtrace

    source = os.path.dirname(os.path.dirname(importtrace.__file__))
    assert source not in json.loads((tmp_path / "out").read_text())


def test_interpreter_may_be_named_by_its_release(tmp_path, monkeypatch):
    """`--python 3.99` is the python3.99 on PATH; a file of that name comes first; none is bad input."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no python3\.99 on PATH"):
        executable("3.99")
    there = tmp_path / "python3.99"
    there.write_text("#!/bin/sh\n")
    there.chmod(0o755)
    assert executable("3.99") == str(there)
    (tmp_path / "3.99").write_text("")
    assert executable("3.99") == "3.99"
    assert executable("/usr/bin/python3") == "/usr/bin/python3"
