"""What goes wrong in us never reaches the program; what a signal handler raises does, and only that."""

from __future__ import annotations

import pytest
from capture_support import MODES, PROBED, run

FILES = {
    "one.py": "import two\nfrom pkg import sub\n",
    "two.py": "x = 1\n",
    "pkg/__init__.py": "import pkg.sub\n",
    "pkg/sub.py": "import one\n",
    "bad.py": "1 / 0\n",
    "named.py": "",
    "last.py": "",
}

PROGRAM = """
    import _frozen_importlib, importlib, sys, json
    BREAK
    import one
    importlib.import_module("named")
    try:
        import bad
    except ZeroDivisionError as error:
        tb, frames = error.__traceback__, []
        while tb is not None:
            frames.append(tb.tb_frame.f_globals["__name__"])
            tb = tb.tb_next
        print("failed as it should", [f for f in frames if f.startswith("importtrace")])
    try:
        import nowhere_at_all
    except ModuleNotFoundError:
        pass
    import last
    session.uninstall()
    held = [r().name for r in list(_frozen_importlib._module_locks.values())
            if r() is not None and r().owner is not None]
    ours = [str(f) for f in sys.meta_path if type(f).__module__.startswith("importtrace")]
    kinds = [f.__module__ for f in (_frozen_importlib._ModuleLock.acquire,
             _frozen_importlib._ModuleLock.release, _frozen_importlib._call_with_frames_removed,
             _frozen_importlib._init_module_attrs)]
    codes = [f.__code__.co_freevars for f in (_frozen_importlib._ModuleLock.acquire,
             _frozen_importlib._ModuleLock.release, _frozen_importlib._call_with_frames_removed)]
    print(held, ours, set(kinds), codes, "one" in sys.modules, "last" in sys.modules)
"""

BREAKS = {
    "begin": "importtrace._probes.Probes._begin",
    "taken": "importtrace._probes.Probes._taken",
    "met_own": "importtrace._requests.Requests.met_own",
    "close": "importtrace._probes.Probes._close",
    "state": "importtrace._recorder.Recorder.new_state",
    "keep": "importtrace._recorder.Recorder.keep",
    "failed": "importtrace._failures.Failures.failed",
    "judge": "importtrace._failures.Failures._judge",
    "note": "importtrace._failures.Failures.note",
    "load": "importtrace._probes.begin_load",
    "place": "importtrace._probes.place",
    "finder": "importtrace._finder.TracingFinder._begin",
    "started": "importtrace._finder.TracingFinder.started",
    "ended": "importtrace._finder.TracingFinder.ended",
}


@pytest.mark.parametrize("place", BREAKS)
@pytest.mark.parametrize("kind", ["ValueError", "ImportError", "AttributeError"])
def test_an_error_of_our_own_stops_the_tracing_and_nothing_else(place, kind, tmp_path):
    """The program runs on as without us; at most one line on stderr; all is put back."""
    mode = "finder" if place in ("finder", "started", "ended") else "auto"
    owner, _, name = BREAKS[place].rpartition(".")
    module = ".".join(owner.split(".")[:2])
    # the function must be one of ours: an error raised elsewhere is the program's
    breaking = f"""
    import {module}
    exec(compile("def broken(*args, **kwds): open('reached', 'w').close(); raise {kind}('ours')",
         "ours", "exec"), vars(sys.modules["{module}"]))
    assert hasattr({owner}, {name!r})
    setattr({owner}, {name!r}, sys.modules["{module}"].broken)
    """
    if place == "state":  # a thread's first import
        breaking += """
    import threading
    thread = threading.Thread(target=__import__, args=("two",))
    thread.start()
    thread.join(20)
    """
    else:  # the probes bind their parts when they are placed
        breaking = f"""
    session.uninstall()
    {breaking.strip()}
    session = importtrace.install(mode={mode!r}, log="off", spans="off")
    """
    program = PROGRAM.replace("    BREAK\n", breaking.rstrip(" "))
    traced = run(tmp_path / "a", program, mode=mode, files=FILES)
    plain = run(
        tmp_path / "b",
        PROGRAM.replace("BREAK", "").replace("session.uninstall()", ""),
        mode=None,
        files=FILES,
    )
    assert traced.ok().out == plain.ok().out
    assert (tmp_path / "a" / "reached").exists()
    lines = traced.err.splitlines()
    assert len(lines) <= 1, traced.err
    assert all(line.startswith("importtrace: ") for line in lines)


@pytest.mark.parametrize("place", ["_begin", "_taken", "_close"])
@pytest.mark.parametrize("mode", PROBED)
def test_an_error_of_the_program_s_in_our_frames_is_the_program_s(place, mode, tmp_path):
    """A signal handler can raise anywhere: it passes, no lock stays taken, tracing goes on."""
    program = f"""
    import importlib, _frozen_importlib, sys, importtrace._probes as probes
    class Mine(Exception): pass
    original = probes.Probes.{place}
    armed = [True]
    def handler():
        raise Mine("from a signal handler")
    def interrupted(self, *args):
        result = original(self, *args)
        if armed:
            armed.clear()
            handler()
        return result
    probes.Probes.{place} = interrupted
    session.uninstall()
    session = importtrace.install(mode={mode!r}, log="off", spans="off", file="trace.jsonl")
    armed[:] = [True]
    try:
        raise KeyError  # an import while another error is handled is looked at more closely
    except KeyError:
        try:
            importlib.import_module("one")
        except Mine as error:
            print("mine", error)
    held = [r().name for r in list(_frozen_importlib._module_locks.values())
            if r() is not None and r().owner is not None]
    print(held)
    import one, last
    print("one" in sys.modules, "last" in sys.modules)
    """
    result = run(tmp_path, program, mode=mode, files=FILES).ok()
    assert result.out == "mine from a signal handler\n[]\nTrue True\n"
    assert result.err == ""
    assert "last" in result.names
    assert result.parent(result.load("last")) is None


@pytest.mark.skipif("not hasattr(__import__('signal'), 'setitimer')")
@pytest.mark.parametrize("mode", MODES)
def test_timers_that_raise_in_the_middle_of_imports(mode, tmp_path):
    """Three hundred interruptions at chance places: the exception is the program's, nothing of ours
    is said or stopped, and what is imported afterwards has the right parent.

    A handler that raises between two instructions of importlib can leave a lock taken without us,
    too; only interruptions of our own frames are let through here, and those not at a function's
    very first instruction, which importlib's own functions have as well.
    """
    files = {f"m{number}.py": f"import m{number + 1}\n" for number in range(30)}
    files["m30.py"] = ""
    program = """
    import signal, sys, _frozen_importlib
    class Mine(Exception): pass
    hits = [0]
    def handler(number, frame):
        name = frame.f_globals.get("__name__", "")
        if name.startswith("importtrace.") and frame.f_lasti > 12 and frame.f_code.co_name not in (
            "acquire", "release"):
            hits[0] += 1
            raise Mine
    signal.signal(signal.SIGALRM, handler)
    outcomes = set()
    for turn in range(300):
        for name in [n for n in sys.modules if n[0] == "m" and n[1:].isdigit()]:
            del sys.modules[name]
        signal.setitimer(signal.ITIMER_REAL, 0.0002 + turn * 0.00001, 0.0003)
        try:
            try:
                import m0
                outcomes.add("ok")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Mine:
            outcomes.add("mine")
        except BaseException as error:
            outcomes.add(repr(error))
    held = [r().name for r in list(_frozen_importlib._module_locks.values())
            if r() is not None and r().owner is not None]
    import last
    print(sorted(outcomes - {"ok", "mine"}), held, len(session._recorder.open))
    """
    result = run(tmp_path, program, mode=mode, files={**files, "last.py": ""}).ok()
    assert result.out == "[] [] 0\n"
    assert result.err == ""
    assert result.parent(result.load("last")) is None


@pytest.mark.parametrize("mode", PROBED)
def test_a_recursion_error_next_to_the_limit_does_not_stop_the_tracing(mode, tmp_path):
    """The program stands at its limit: a record may be lost, later ones are there."""
    program = """
    import sys
    def dive(n):
        if n == 0:
            import deep_leaf
            return
        dive(n - 1)
    sys.setrecursionlimit(300)
    for depth in range(200, 300):
        sys.modules.pop("deep_leaf", None)
        try:
            dive(depth)
        except RecursionError:
            pass
    sys.setrecursionlimit(1000)
    import last
    """
    result = run(tmp_path, program, mode=mode, files={"deep_leaf.py": "", "last.py": ""}).ok()
    assert result.err == ""
    assert result.parent(result.load("last")) is None


@pytest.mark.parametrize("mode", MODES)
def test_hostile_objects_are_only_ever_looked_at(mode, tmp_path):
    """Specs, exceptions, modules and names whose attributes run code or raise: as without us."""
    program = """
    import sys
    from importlib.machinery import ModuleSpec, PathFinder
    class Spec(ModuleSpec):
        @property
        def origin(self):
            print("origin was read")
            return None
        @origin.setter
        def origin(self, value): pass
    class Error(ImportError):
        def __str__(self):
            print("str() of the error")
            return "x"
        def add_note(self, note):
            print("add_note called")
        __repr__ = __str__
    class Loader:
        def create_module(self, spec): return None
        def exec_module(self, module):
            if module.__name__ == "raises":
                raise Error("no")
        def __getattr__(self, name):
            raise AttributeError(name)
        def __eq__(self, other): print("loaders compared"); return False
        __hash__ = None
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name in ("odd", "raises"):
                return Spec(name, Loader())
    sys.meta_path.append(Finder())
    import odd
    try:
        import raises
    except ImportError as error:
        print(type(error), error.args, getattr(error, "__notes__", None) and 1)
    """
    traced = run(tmp_path / "a", program, mode=mode)
    plain = run(tmp_path / "b", program, mode=None)
    own = [line for line in traced.ok().out.splitlines() if "<class" not in line]
    assert own == [line for line in plain.ok().out.splitlines() if "<class" not in line]
    assert traced.err == plain.err
    assert "odd" in traced.names
