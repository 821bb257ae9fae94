"""Fresh interpreters for users' tests."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING

import pytest

from importtrace.testing import FreshInterpreter, import_fresh, run_fresh

if TYPE_CHECKING:
    from pathlib import Path


def test_result_holds_what_the_program_wrote_and_imported() -> None:
    """stdout, stderr, status and the modules, in the order of their import."""
    done = run_fresh(
        """
        import sys
        import colorsys
        import sched
        print('out')
        print('err', file=sys.stderr)
        """
    )
    assert (done.stdout, done.stderr, done.status, done.ok) == ("out\n", "err\n", 0, True)
    assert done.modules is not None
    assert done.modules.index("colorsys") < done.modules.index("sched")
    assert done.check() is done


def test_bare_program_imports_nothing() -> None:
    """What is reported as imported is the program's, never what started it."""
    assert import_fresh().modules == ()


def test_arguments_and_main() -> None:
    """The program is `__main__`, sees its own arguments, and none of our names."""
    done = run_fresh(
        "import sys\nprint(__name__, sys.argv[1:], sorted(n for n in globals() if n[:2] != '__'))",
        "a b",
        "--c",
    )
    assert done.stdout == "__main__ ['a b', '--c'] ['sys']\n"


def test_traceback_is_the_programs_own() -> None:
    """A failure reads as it would in a script: its source line, and no frame of ours."""
    done = run_fresh("x = 1\nint('ten')\n")
    assert done.status == 1
    assert "line 2, in <module>" in done.stderr
    assert "int('ten')" in done.stderr
    assert done.stderr.count("File ") == 1
    assert done.stderr.rstrip().endswith(
        "ValueError: invalid literal for int() with base 10: 'ten'"
    )
    with pytest.raises(AssertionError, match=r"(?s)ended with status 1:.*invalid literal"):
        done.check()


def test_exit_status_is_the_programs() -> None:
    """`sys.exit`, and `os._exit`, after which nothing can be known of the modules."""
    exited = run_fresh("import sys\nsys.exit(7)")
    assert (exited.status, exited.stderr) == (7, "")
    assert exited.modules is not None
    gone = run_fresh("import os\nos._exit(5)")
    assert (gone.status, gone.modules) == (5, None)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_signal_is_told_as_such() -> None:
    """A crash of the interpreter is a result; stderr says where it was."""
    done = run_fresh("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert done.status == -11
    assert "Segmentation fault" in done.stderr
    with pytest.raises(AssertionError, match="ended by signal 11"):
        done.check()


@pytest.mark.skipif(sys.platform == "win32", reason="no stacks of a stopped program there")
def test_program_that_does_not_end_is_stopped_and_says_where_it_stood() -> None:
    """status None, what was printed until then, and the stack of each thread."""
    done = run_fresh(
        """
        import threading
        print("begun", flush=True)
        def wait_for_ever():
            threading.Event().wait()
        wait_for_ever()
        """,
        timeout_s=1.5,
    )
    assert (done.status, done.stdout, done.modules) == (None, "begun\n", None)
    assert "in wait_for_ever" in done.stderr
    with pytest.raises(AssertionError, match="did not end in time"):
        done.check()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux's way to wait for a process")
def test_nothing_that_it_started_is_left_behind() -> None:
    """A process that the program leaves behind neither delays the result nor outlives it."""
    done = run_fresh(
        """
        import os, sys, time
        child = os.fork()
        if not child:
            time.sleep(600)
        print(child)
        """,
        timeout_s=30,
    )
    child = int(done.check().stdout)
    try:
        handle = os.pidfd_open(child)
    except ProcessLookupError:
        return
    with os.fdopen(handle) as process:
        assert select.select([process], [], [], 20)[0], "it still runs"


def test_path_environment_and_directory(tmp_path: Path) -> None:
    """`path` is in front of sys.path, `env` changes single variables, `cwd` is where it runs."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "colorsys.py").write_text("WHOSE = 'mine'\n")
    interpreter = FreshInterpreter(
        path=(tmp_path / "lib",), cwd=tmp_path, env={"SOME_SETTING": "on", "HOME": None}
    )
    done = interpreter.run(
        "import colorsys, os\n"
        "print(colorsys.WHOSE, os.environ['SOME_SETTING'], 'HOME' in os.environ, os.getcwd())"
    ).check()
    assert done.stdout == f"mine on False {tmp_path.resolve()}\n"
    assert interpreter.with_(env={}).run("import os\nos.environ['SOME_SETTING']").status == 1


def test_interpreter_options() -> None:
    """Options of the interpreter itself, as ``-W error``."""
    warning = "import warnings\nwarnings.warn('old')"
    assert run_fresh(warning).ok
    assert not run_fresh(warning, options=("-W", "error")).ok


def test_any_text_comes_through() -> None:
    """Text that the terminal's encoding lacks, in the program and in its output."""
    assert run_fresh("print('Übergröße \\ud800')").check().stdout == "Übergröße \\ud800\n"


def test_imports_are_done_in_their_order(tmp_path: Path) -> None:
    """`imports` finds the order that fails."""
    (tmp_path / "first.py").write_text(
        "import sys\nREADY = 'second' in sys.modules\nassert READY\n"
    )
    (tmp_path / "second.py").write_text("")
    interpreter = FreshInterpreter(path=(tmp_path,))
    assert interpreter.imports("second", "first").check().modules[-1] == "first"
    assert "AssertionError" in interpreter.imports("first", "second").stderr
