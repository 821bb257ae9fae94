"""``install()`` and ``uninstall()``: what they load, what they touch, what they leave behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from capture_support import MODES, PROBED, installing, python, run

import importtrace

PLACE = str(Path(importtrace.__file__).parent.parent)

# What is for later: data, analysis, delivery. Nothing of it may be loaded by install().
LATER = {
    f"importtrace.{name}"
    for name in (
        "records", "tracefile", "cause", "analysis", "reports", "exporters", "cli", "demo", "inject",
        "_snapshot", "_facts",
    )
}  # fmt: skip


def surplus(added: set[str]) -> set[str]:
    """Of the modules added, those that are neither built-in nor our own few."""
    own = {name for name in added if name.partition(".")[0] == "importtrace"}
    return (added - own - set(sys.builtin_module_names)) | (own & LATER)


def bare(folder: Path, code: str) -> set[str]:
    """The modules that ``code`` adds to those of a bare ``-I -S`` interpreter."""
    run = python(
        folder,
        *("-I", "-S", "-c"),
        f"import sys; sys.path.append({PLACE!r}); before = set(sys.modules); {code}\n"
        # (those of ours that wait for their first touch are there, and have not run)
        "after = {name for name, module in sys.modules.items() if type(module).__name__ != 'Late'}\n"
        "import json\n"
        "print(json.dumps(sorted(after - before)))",
    )
    return set(run.data)


@pytest.mark.parametrize("mode", [None, *MODES])
def test_nothing_is_loaded_that_a_bare_interpreter_has_not(mode, tmp_path):
    """``import importtrace`` and ``install()`` load our own few files and C modules, nothing else."""
    code = installing(mode) if mode else "import importtrace"
    added = bare(tmp_path, code)
    assert surplus(added) == set()
    assert "importtrace.session" in added


def test_a_file_setting_loads_nothing_more(tmp_path):
    """What the file needs is loaded when it is written, after the start-up."""
    code = installing("auto", tmp_path / "t.jsonl")
    added = bare(tmp_path, code)
    assert surplus(added) == set()


def test_settings_from_the_environment_load_nothing_more(tmp_path):
    """The variables are read without ``os``."""
    code = (
        "import posix; posix.environ[b'IMPORTTRACE_MAX_RECORDS'] = b'777'; "
        "import importtrace; session = importtrace.install(); "
        "assert session.config.max_records == 777; "
    )
    added = bare(tmp_path, code)
    assert surplus(added) == set()


@pytest.mark.parametrize("mode", MODES)
def test_uninstalling_in_a_bare_interpreter_loads_nothing(mode, tmp_path):
    """Taking the seams back costs no import either."""
    added = bare(tmp_path, installing(mode) + "; session.uninstall()")
    assert surplus(added) == set()


# What install() may touch, by identity; dicts are compared entry by entry.
STATE = """
import _frozen_importlib, _frozen_importlib_external, builtins, sys
import _imp, _thread, _weakref, importlib

def state():
    found = {}
    owners = [
        _frozen_importlib, _frozen_importlib_external, _imp, _thread, builtins, sys, importlib,
        _frozen_importlib._ModuleLock, _frozen_importlib._ModuleLockManager,
        _frozen_importlib._ImportLockContext,
        _frozen_importlib.ModuleSpec, _frozen_importlib.BuiltinImporter,
        _frozen_importlib.FrozenImporter, _frozen_importlib_external.PathFinder,
        _frozen_importlib_external.FileFinder, _frozen_importlib_external.SourceFileLoader,
        _frozen_importlib_external.SourceLoader, _frozen_importlib_external._LoaderBasics,
        _frozen_importlib_external.ExtensionFileLoader,
    ]
    if "threading" in sys.modules:
        owners += [sys.modules["threading"], sys.modules["threading"].Thread]
    for owner in owners:
        for name, value in vars(owner).items():
            if name not in VOLATILE:
                found[owner.__name__, name] = value
    for name in ("meta_path", "path_hooks", "modules", "path", "path_importer_cache"):
        found["list", name] = getattr(sys, name)
    for name in ("meta_path", "path_hooks"):
        for number, entry in enumerate(getattr(sys, name)):
            found[name, number] = entry
    found["profile"] = sys.getprofile()
    found["trace"] = sys.gettrace()
    return found

# counters and caches of Python's own
VOLATILE = {"_counter", "_limbo", "_active", "_dangling", "last_exc", "last_type", "last_value",
            "last_traceback", "_relax_case", "__builtins__", "_", "flags"}

def changed(before, after, added=()):
    names = before.keys() | after.keys()
    return sorted(
        str(name) for name in names
        if before.get(name) is not after.get(name) and name[0] not in added
    )
"""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("threads", ["never", "before", "during"])
def test_uninstall_puts_every_object_back(mode, threads, tmp_path):
    """By identity: the import system, excepthooks, meta path, and ``threading`` whenever it came.

    The objects of ``threading`` as it is without us are told by where they come from.
    """
    result = run(
        tmp_path,
        f"""
        import importlib, json, sys
        sys.modules.get("threading") and print("threading is there already", file=sys.stderr)
        {"import threading" if threads == "before" else ""}
        from state import changed, state
        before = state()
        {installing(mode)}
        touched = changed(before, state())
        import mod_one, json.tool
        try:
            import mod_broken
        except ZeroDivisionError:
            pass
        {"import threading" if threads == "during" else ""}
        session.uninstall()
        after = state()
        left = [name for name in changed(before, after, ADDED)]
        ours = sorted(
            str(name) for name, value in after.items()
            if str(getattr(value, "__module__", "")).startswith("importtrace")
        )
        print(json.dumps([touched, left, ours]))
        """.replace("ADDED", "('threading', 'Thread')" if threads == "during" else "()"),
        mode=None,
        files={"state.py": STATE, "mod_one.py": "x = 1\n", "mod_broken.py": "1 / 0\n"},
    )
    touched, left, ours = result.data
    assert touched, "install() replaced nothing: this test would see nothing"
    assert left == []
    assert ours == []


def test_threading_imported_while_tracing_is_patched_and_put_back(tmp_path):
    """The globals that ``threading`` made for itself, not what was there at ``install()``."""
    result = run(
        tmp_path,
        """
        import sys
        assert "threading" not in sys.modules
        import threading
        import _thread
        name = next(n for n in ("_start_joinable_thread", "_start_new_thread")
                    if hasattr(threading, n))
        native = {"_start_joinable_thread": "start_joinable_thread",
                  "_start_new_thread": "start_new_thread"}[name]
        patched = getattr(threading, name) is not getattr(_thread, native)
        hooked = threading.excepthook is not _thread._excepthook
        session.uninstall()
        import json
        print(json.dumps([
            patched, hooked,
            getattr(threading, name) is getattr(_thread, native),
            threading.excepthook is _thread._excepthook,
        ]))
        """,
        flags=("-S",),
        env={"PYTHONPATH": PLACE},
    )
    assert result.data == [True, True, True, True]


@pytest.mark.parametrize("mode", PROBED)
def test_what_another_tool_put_over_ours_stays(mode, tmp_path):
    """Undo exactly what we did: a wrapper made meanwhile goes on working, and records nothing more."""
    result = run(
        tmp_path,
        """
        import _frozen_importlib, sys, json
        lock, calls = _frozen_importlib._ModuleLock, []
        acquire, hook = lock.acquire, sys.excepthook
        called = _frozen_importlib._call_with_frames_removed

        def theirs(self):
            calls.append(self.name)
            return acquire(self)

        def their_hook(*args):
            return hook(*args)

        def their_called(f, *args, **kwds):
            calls.append("called")
            return called(f, *args, **kwds)

        lock.acquire, sys.excepthook = theirs, their_hook
        _frozen_importlib._call_with_frames_removed = their_called
        import mod_one
        session.uninstall()
        kept = [lock.acquire is theirs, sys.excepthook is their_hook,
                _frozen_importlib._call_with_frames_removed is their_called]
        before = [record.module for record in session.trace().records]
        import mod_two, mod_three
        after = [record.module for record in session.trace().records]
        open_loads = len(session._recorder.open)
        print(json.dumps([kept, "mod_two" in calls, before == after, open_loads]))
        """,
        mode=mode,
        files={"mod_one.py": "", "mod_two.py": "import mod_three\n", "mod_three.py": ""},
    )
    kept, theirs_called, same, open_loads = result.data
    assert kept == [True, True, True]
    assert theirs_called
    assert same, "recorded on after uninstall()"
    assert open_loads == 0


@pytest.mark.parametrize("mode", ["auto", "finder"])
def test_a_meta_path_that_another_tool_replaced_is_left_its_own(mode, tmp_path):
    """Our finder goes from whichever list is in force, and from no list goes anything else."""
    result = run(
        tmp_path,
        """
        import sys, json
        first = sys.meta_path
        class Theirs:
            @staticmethod
            def find_spec(name, path=None, target=None):
                return None
        second = [Theirs, *first]
        sys.meta_path = second
        import mod_one
        session.uninstall()
        before = [record.module for record in session.trace().records]
        sys.meta_path.append(Theirs)
        kept = sys.meta_path is second
        sys.meta_path = first  # the tool gives its own up, too
        import mod_two
        after = [record.module for record in session.trace().records]
        ours = [str(type(f)) for f in second if type(f).__module__.startswith("importtrace")]
        print(json.dumps([kept, ours, len(second), before == after, "mod_one" in before]))
        """,
        mode=mode,
        files={"mod_one.py": "", "mod_two.py": ""},
    )
    kept, ours, length, same, seen = result.data
    assert kept
    assert seen
    assert ours == []
    assert length >= 5
    assert same, "recorded on after uninstall()"


def test_installing_twice_gives_the_same_session(tmp_path):
    """Idempotent: the second call changes nothing and returns the first handle."""
    result = run(
        tmp_path,
        """
        import _frozen_importlib, json, sys
        acquire, finders = _frozen_importlib._ModuleLock.acquire, list(sys.meta_path)
        again = importtrace.install(mode="finder", max_records=100)
        same = again is session
        untouched = _frozen_importlib._ModuleLock.acquire is acquire and sys.meta_path == finders
        importtrace.uninstall()
        importtrace.uninstall()
        third = importtrace.install(log="off", spans="off")
        fresh = third is not session
        session.uninstall()  # an old handle must not end the new session
        import mod_one
        seen = [record.module for record in third.trace().loads]
        with importtrace.install() as handle:
            inside = handle is third
        import mod_two
        later = [record.module for record in third.trace().loads]
        print(json.dumps([same, untouched, fresh, seen, inside, later]))
        """,
        files={"mod_one.py": "", "mod_two.py": ""},
    )
    same, untouched, fresh, seen, inside, later = result.data
    assert same
    assert untouched
    assert fresh
    assert "mod_one" in seen
    assert inside
    assert "mod_two" not in later


def test_a_handle_ends_the_tracing_when_its_block_raises(tmp_path):
    """The exception is the program's and passes."""
    result = run(
        tmp_path,
        f"""
        import importtrace, json, sys
        before = list(sys.meta_path)
        try:
            with importtrace.install(mode="auto", log="off", spans="off", file={"t.jsonl"!r}):
                raise KeyError("mine")
        except KeyError as error:
            print(json.dumps([str(error), sys.meta_path == before]))
        """,
        mode=None,
    )
    assert result.data == ["'mine'", True]


def test_many_threads_install_one_session(tmp_path):
    """Thread-safe: sixteen threads released together get one handle; sixteen uninstall it once."""
    result = run(
        tmp_path,
        """
        import threading, json, sys, importtrace, _frozen_importlib
        acquire = _frozen_importlib._ModuleLock.acquire
        gate, handles = threading.Barrier(16), []
        def start():
            gate.wait(30)
            handles.append(importtrace.install(log="off", spans="off"))
        threads = [threading.Thread(target=start) for _ in range(16)]
        for thread in threads: thread.start()
        for thread in threads: thread.join(30)
        ours = _frozen_importlib._ModuleLock.acquire is not acquire
        gate.reset()
        def stop():
            gate.wait(30)
            importtrace.uninstall()
        threads = [threading.Thread(target=stop) for _ in range(16)]
        for thread in threads: thread.start()
        for thread in threads: thread.join(30)
        left = [f for f in sys.meta_path if type(f).__module__.startswith("importtrace")]
        back = _frozen_importlib._ModuleLock.acquire is acquire
        print(json.dumps([len(handles), len(set(map(id, handles))), ours, back, len(left)]))
        """,
        mode=None,
    )
    assert result.data == [16, 1, True, True, 0]


def test_installing_and_uninstalling_while_others_import(tmp_path):
    """No import fails, none hangs, no lock stays taken, and everything is as it was at the end."""
    files = {f"m{number}.py": f"import m{number + 1}\n" for number in range(300)}
    files["m300.py"] = ""
    result = run(
        tmp_path,
        """
        import threading, json, sys, importlib, importtrace, _frozen_importlib
        lock = _frozen_importlib._ModuleLock
        before = lock.acquire, lock.release, list(sys.meta_path), threading.excepthook
        failed, stop = [], threading.Event()
        def load(part):
            try:
                for number in range(299, -1, -1):
                    if number % 3 == part:
                        importlib.import_module(f"m{number}")
            except BaseException as error:
                failed.append(repr(error))
        def toggle():
            while not stop.is_set():
                importtrace.install(log="off", spans="off")
                importtrace.uninstall()
        threads = [threading.Thread(target=load, args=(part,)) for part in range(3)]
        toggler = threading.Thread(target=toggle)
        toggler.start()
        for thread in threads: thread.start()
        for thread in threads: thread.join(40)
        stop.set()
        toggler.join(20)
        hanging = [thread.name for thread in threads if thread.is_alive()]
        after = lock.acquire, lock.release, list(sys.meta_path), threading.excepthook
        held = [r().name for r in list(_frozen_importlib._module_locks.values())
                if r() is not None and r().owner is not None]
        print(json.dumps([failed, hanging, [str(b) for a, b in zip(before, after) if a != b], held]))
        """,
        mode=None,
        files=files,
    )
    assert result.data == [[], [], [], []]


def test_a_malformed_argument_raises_and_changes_nothing(tmp_path):
    """The caller's mistake is the caller's; the import system stays as it was."""
    result = run(
        tmp_path,
        """
        import importtrace, json, sys, _frozen_importlib
        before = _frozen_importlib._ModuleLock.acquire, list(sys.meta_path), sys.excepthook
        told = []
        for wrong in ({"mode": "fast"}, {"max_records": -1}, {"log": 3}, {"file": 4}):
            try:
                importtrace.install(**wrong)
            except importtrace.ImportTraceError as error:
                told.append(str(error).splitlines())
        after = _frozen_importlib._ModuleLock.acquire, list(sys.meta_path), sys.excepthook
        print(json.dumps([[len(t) for t in told], before == after]))
        """,
        mode=None,
    )
    assert result.data == [[1, 1, 1, 1], True]


def test_installing_is_cheap_even_when_much_is_loaded(tmp_path):
    """Its cost does not grow with ``sys.modules``: fewer than 3,000 calls with 5,000 modules."""
    result = run(
        tmp_path,
        """
        import sys, types, json, importtrace
        def cost():
            calls = [0]
            def count(frame, event, arg):
                calls[0] += event == "call" or event == "c_call"
            sys.setprofile(count)
            session = importtrace.install(log="off", spans="off")
            sys.setprofile(None)
            session.uninstall()
            return calls[0]
        cost()
        few = cost()
        for number in range(5_000):
            sys.modules[f"made{number}"] = types.ModuleType(f"made{number}")
        print(json.dumps([few, cost()]))
        """,
        mode=None,
    )
    few, many = result.data
    assert many < 3_000
    assert many < few + 100


def test_the_header_says_what_could_not_be_observed(tmp_path):
    """Each mode tells its limits; the mode in force is named."""
    told = {}
    for mode in MODES:
        header = run(tmp_path / mode, "import json.tool", mode=mode).ok().header
        told[mode] = header
        assert header["mode"] == mode
        assert header["not_observed"]
        assert not set(header["observed"]) & set(header["not_observed"])
    assert "waits" in told["auto"]["observed"]
    assert "waits" in told["finder"]["not_observed"]
    assert "finders" not in told["probes"]["observed"]
