"""What import hooks have broken elsewhere: warnings, tracebacks, debuggers, rewritten assertions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from compat_support import PROBED, alike

if TYPE_CHECKING:
    from pathlib import Path


def test_warnings_are_clean_and_blamed_on_the_right_file(tmp_path: Path) -> None:
    """`-W error` adds nothing; `stacklevel` counts the frames that it counts without us."""
    files = {
        "old.py": "import warnings\nfor n in (1, 2, 3):\n"
        "    warnings.warn(f'level {n}', DeprecationWarning, stacklevel=n)\n",
        "between.py": "# a line\nimport old\n",
        "lazy.py": "def __getattr__(name):\n    import warnings\n"
        "    warnings.warn(name, FutureWarning, stacklevel=2)\n    return 1\n",
    }
    program = """
    import between
    import lazy, importlib, sys
    lazy.anything
    del sys.modules["old"]
    importlib.import_module("old")
    from lazy import something
    print(sorted(n for n in getattr(sys.modules["old"], "__warningregistry__", {}) if n != "version"))
    """
    found = alike(tmp_path, program, files, flags=("-W", "always"))
    assert "between.py:2: DeprecationWarning: level 2" in found.plain.err
    again = tmp_path / "error"
    alike(again, "import json, between\n", files, flags=("-W", "error"), code=1)
    quiet = tmp_path / "quiet"
    assert alike(quiet, "import asyncio, http\n", flags=("-W", "error")).plain.err == ""


def test_tracebacks_show_none_of_our_frames(tmp_path: Path) -> None:
    """Printed by Python, by traceback, logging, a thread, faulthandler, and walked by hand."""
    program = """
    import faulthandler, logging, sys, threading, traceback, unittest
    logging.basicConfig(format="%(message)s")
    def attempt(name):
        try: __import__(name)
        except Exception as error:
            traceback.print_exc(); print(file=sys.stderr)
            logging.exception("x"); print(file=sys.stderr)
            tb = error.__traceback__
            while tb:
                code = tb.tb_frame.f_code
                print(code.co_filename.rpartition("/")[2], code.co_name, tb.tb_lineno)
                tb = tb.tb_next
    for name in ("bad", "wraps", "bad.child", "stack"): attempt(name)
    thread = threading.Thread(target=__import__, args=("bad",))
    thread.start(); thread.join(20)
    class Case(unittest.TestCase):
        def test(self): import bad
    result = unittest.TestResult()
    Case("test").run(result)
    print([line for line in result.errors[0][1].splitlines() if "File" in line])
    import wraps
    """
    files = {
        "bad.py": "def f():\n    return 1 / 0\nf()\n",
        "wraps.py": "try:\n    import bad\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e\n",
        "stack.py": "import faulthandler, sys\nfaulthandler.dump_traceback(sys.stdout.fileno(), False)\n"
        "import traceback\nprint(*traceback.format_stack(), sep='')\n",
    }
    varies = r"0x[0-9a-f]+|Thread-\d+ \(__import__\)"
    alike(tmp_path, program, files, varies=varies, code=1)


TRANSCRIPT = "b pkg/leaf.py:3\\nc\\nw\\np x\\nn\\nn\\nu\\nl\\ntbreak after\\nc\\nw\\nr\\nn\\nq\\n"


def test_breakpoints_are_hit(tmp_path: Path) -> None:
    """The same commands give the same session of pdb: in a body, up the stack, over an import."""
    program = f"""
    import io, pdb, sys
    def after():
        return 1
    def main():
        import pkg.leaf
        after()
        import plain
        return 2
    commands = io.StringIO("{TRANSCRIPT}")
    debugger = pdb.Pdb(stdin=commands, stdout=sys.stdout, nosigint=True, readrc=False)
    debugger.use_rawinput = False
    debugger.prompt = "> "
    try: debugger.runcall(main)
    except BaseException as error: print(type(error))
    """
    files = {
        "pkg/__init__.py": "",
        "pkg/leaf.py": "x = 1\ny = 2\nz = x + y\nimport plain\nq = 1\n",
        "plain.py": "v = 1\n",
    }
    found = alike(tmp_path, program, files)
    assert "leaf.py(3)<module>()" in found.out


def test_trace_functions_and_monitoring_see_the_program_as_without_us(tmp_path: Path) -> None:
    """`sys.settrace`, `sys.setprofile`, `sys.monitoring`: the program's own events, in order; all free."""
    program = """
    import sys, threading
    import _thread
    mine = sys.path[0]
    watched = hasattr(sys, "monitoring")
    print(sys.gettrace(), sys.getprofile(), watched and list(map(sys.monitoring.get_tool, range(6))))
    seen = []
    def trace(frame, event, arg):
        if frame.f_code.co_filename.startswith(mine):
            code = frame.f_code
            seen.append((code.co_filename.rpartition("/")[2], code.co_name, event, frame.f_lineno))
            return trace
    sys.settrace(trace)
    import pkg.leaf
    try: import bad
    except ZeroDivisionError: pass
    assert sys.gettrace() is trace
    sys.settrace(None)
    print(len(seen), seen)
    seen.clear()
    def profile(frame, event, arg):
        if frame.f_code.co_filename.startswith(mine):
            seen.append((frame.f_code.co_name, event))
    sys.setprofile(profile)
    import second
    assert sys.getprofile() is profile
    sys.setprofile(None)
    print(seen)
    if watched:
        seen.clear()
        def line(code, number):
            if not code.co_filename.startswith(mine): return m.DISABLE
            seen.append((code.co_filename.rpartition("/")[2], number))
        m = sys.monitoring
        m.use_tool_id(m.DEBUGGER_ID, "mine")
        m.register_callback(m.DEBUGGER_ID, m.events.LINE, line)
        m.set_events(m.DEBUGGER_ID, m.events.LINE)
        import third
        m.set_events(m.DEBUGGER_ID, 0)
        print(seen, m.get_tool(m.DEBUGGER_ID))
    """
    files = {
        "pkg/__init__.py": "x = 1\n",
        "pkg/leaf.py": "def f():\n    return 1\nf()\n",
        "bad.py": "x = 1\n1 / 0\n",
        "second.py": "import leaf2\n",
        "leaf2.py": "",
        "third.py": "for n in range(3):\n    import leaf2\n",
    }
    alike(tmp_path, program, files)


@pytest.mark.parametrize("ci", ["", "1"], ids=["by hand", "in CI"])
def test_pytest_s_rewritten_assertions(tmp_path: Path, ci: str) -> None:
    """The same report of a failing assertion, of a plugin, and of a test file that cannot be imported.

    Where `CI` is set, pytest cuts no line of its summary: the note stands there a second time.
    """
    files = {
        "test_one.py": "import helper\ndef test_fails():\n    assert helper.f() == [1, 3]\n"
        "def test_helper():\n    helper.check(2)\n"
        "def test_import():\n    import nowhere_at_all\n",
        "conftest.py": "import pytest\npytest.register_assert_rewrite('helper')\n",
        "helper.py": "def f():\n    return [1, 2]\ndef check(n):\n    assert n == 3, 'three'\n",
    }
    arguments = ("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "-q", "--tb=short")
    varies = r"in \d+\.\d+s|=+"
    # pytest shows an exception's notes below its message
    below = r"\nE +importtrace: (?:\n|.)*?(?=\n[^E])|\nimporttrace: .*(?:\n  .*)+"
    note = rf"|(?<='nowhere_at_all')(?:{below})?"
    found = alike(tmp_path, None, files, arguments, code=1, varies=varies + note, env={"CI": ci})
    assert "At index 1 diff: 2 != 3" in found.out
    assert "nowhere_at_all" in found.out
    for mode in PROBED:
        assert found.traced[mode].load("helper")["loader"] == "AssertionRewritingHook"
