"""The hooks besides imports: excepthooks are chained, threads told of, the exit is quiet."""

from __future__ import annotations

import pytest
from capture_support import MODES, PROBED, run

CYCLE = {"left.py": "import right\nx = 1\n", "right.py": "from left import x\n"}


@pytest.mark.parametrize("mode", PROBED)
def test_the_program_s_excepthook_is_called_once_with_what_was_raised(mode, tmp_path):
    """Chained whether set before or after ``install()``; sys.__excepthook__ is untouched."""
    program = """
    import sys
    native = sys.__excepthook__
    previous = sys.excepthook
    def mine(kind, value, tb):
        print("mine", kind.__name__, value.name, tb.tb_frame.f_code.co_name)
        print(sys.__excepthook__ is native)
        previous(kind, value, tb)
    sys.excepthook = mine
    import left
    """
    result = run(tmp_path, program, mode=mode, files=CYCLE)
    assert result.code == 1
    assert result.out == "mine ImportError left <module>\nTrue\n"
    assert result.err.count("Traceback") == 1
    assert "circular" in result.err


@pytest.mark.parametrize("mode", PROBED)
def test_printing_an_uncaught_error_adds_nothing(mode, tmp_path):
    """Python imports while it prints, and since 3.12 the failed module again: not the program's."""
    result = run(tmp_path, "import left\n", mode=mode, files=CYCLE)
    assert result.code == 1
    assert len(result.loads("left")) == 1
    assert len([one for one in result.records if "cause" in one]) == 1
    files = [one["importer"]["file"] for one in result.records if "importer" in one]
    assert not [file for file in files if "importtrace/_" in file.replace("\\", "/")]


@pytest.mark.parametrize("mode", PROBED)
def test_an_excepthook_that_raises_behaves_as_without_us(mode, tmp_path):
    """Python prints both errors; we add nothing and hide nothing."""
    program = """
    import sys
    def mine(kind, value, tb):
        raise ValueError("in the hook")
    INSTALL
    1 / 0
    """
    before = program.replace("INSTALL", "sys.excepthook = mine")
    traced = run(tmp_path / "a", before, mode=mode)
    plain = run(tmp_path / "b", before, mode=None)
    assert traced.code == plain.code == 1
    assert traced.err.replace("/a/", "/b/") == plain.err


@pytest.mark.parametrize("mode", PROBED)
def test_a_hook_installed_before_us_that_raises(mode, tmp_path):
    """The frame of our hook is in between, and Python still prints both errors."""
    program = f"""
    import sys, importtrace
    def mine(kind, value, tb):
        raise ValueError("in the hook")
    sys.excepthook = mine
    session = importtrace.install(mode={mode!r}, log="off", spans="off")
    1 / 0
    """
    result = run(tmp_path, program, mode=None)
    assert result.code == 1
    assert "ValueError: in the hook" in result.err
    assert "ZeroDivisionError" in result.err
    assert "Error in sys.excepthook" in result.err


@pytest.mark.parametrize("mode", PROBED)
def test_an_error_in_a_thread_goes_through_the_program_s_threading_hook(mode, tmp_path):
    """Chained: the explanation is on the exception by the time the program's hook prints it."""
    program = """
    import threading
    def mine(args):
        print(args.exc_type.__name__, args.thread.name, len(args.exc_value.__notes__))
    threading.excepthook = mine
    session.uninstall()
    session = importtrace.install(mode=MODE, log="off", spans="off")
    thread = threading.Thread(target=__import__, args=("left",), name="warm")
    thread.start()
    thread.join(20)
    session.uninstall()
    print(threading.excepthook is mine)
    """.replace("MODE", repr(mode))
    result = run(tmp_path, program, mode=mode, files=CYCLE).ok()
    assert result.out == "ImportError warm 1\nTrue\n"
    assert result.err == ""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("end", "code"),
    [("raise SystemExit(4)", 4), ("import os; os._exit(5)", 5), ("import sys; sys.exit('x')", 1),
     ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15), ("", 0),
     ("raise KeyboardInterrupt", -2)],
)  # fmt: skip
def test_exit_codes_and_streams_are_the_program_s(mode, end, code, tmp_path):
    """However it ends."""
    program = f"import json.tool\n{end}\n"
    traced = run(tmp_path / "a", program, mode=mode)
    plain = run(tmp_path / "b", program, mode=None)
    assert traced.code == plain.code == code
    assert traced.err.replace("/a/", "/b/") == plain.err
    assert traced.out == plain.out


@pytest.mark.parametrize("mode", MODES)
def test_the_shutdown_of_the_interpreter_is_quiet(mode, tmp_path):
    """Imports in atexit handlers and in ``__del__`` at the very end: no word, no other outcome."""
    program = """
    import atexit, sys
    @atexit.register
    def late():
        import late_one
        print("late", late_one.x)
    class Last:
        def __del__(self):
            try:
                import late_two
                print("del, imported")
            except ImportError:
                print("del, not imported")
    keep = Last()
    """
    files = {"late_one.py": "x = 1\n", "late_two.py": ""}
    traced = run(tmp_path / "a", program, mode=mode, files=files).ok()
    plain = run(tmp_path / "b", program, mode=None, files=files).ok()
    assert traced.out == plain.out
    assert traced.out.startswith("late 1\ndel, ")
    assert traced.err == ""


@pytest.mark.parametrize("mode", MODES)
def test_a_daemon_thread_that_imports_at_the_end(mode, tmp_path):
    """It is stopped wherever it stands, in a probe of ours or not: no word, no hang, no crash."""
    program = """
    import threading, sys
    def forever():
        while True:
            sys.modules.pop("again", None)
            import again
            started.set()
    started = threading.Event()
    threading.Thread(target=forever, daemon=True).start()
    assert started.wait(20)
    """
    traced = run(tmp_path, program, mode=mode, files={"again.py": ""}).ok()
    assert (traced.out, traced.err) == ("", "")


@pytest.mark.parametrize("mode", PROBED)
def test_after_uninstall_nothing_is_written_at_exit(mode, tmp_path):
    """The handle's trace stays readable; no file, no line."""
    program = """
    import json.tool
    session.uninstall()
    import decimal
    names = [record.module for record in session.trace().loads]
    print("json.tool" in names, "decimal" in names)
    """
    result = run(tmp_path, program, mode=mode).ok()
    assert result.out == "True False\n"
    assert result.err == ""
    assert not (tmp_path / "trace.jsonl").exists()


@pytest.mark.parametrize("mode", PROBED)
def test_a_thread_that_cannot_be_started_raises_python_s_error(mode, tmp_path):
    """Without a frame of ours in its traceback."""
    program = """
    import threading, traceback
    threading.stack_size(1 << 62) if False else None
    names = [n for n in ("_start_joinable_thread", "_start_new_thread") if hasattr(threading, n)]
    ours = getattr(threading, names[0])
    try:
        ours("not callable", 3, 4, 5)
    except TypeError as error:
        tb, frames = error.__traceback__, []
        while tb is not None:
            frames.append(tb.tb_frame.f_globals["__name__"])
            tb = tb.tb_next
        print(frames)
    """
    result = run(tmp_path, program, mode=mode).ok()
    assert result.out == "['__main__']\n"
