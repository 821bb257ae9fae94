"""The traced program sees no difference: stack, tracebacks, warnings, recursion, specs, loaders."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "unit"))

from capture_support import MODES, PROBED, Run, installing, run

STACK = """
    import sys
    frame, found = sys._getframe(1), []
    while frame is not None:
        found.append(f"{frame.f_code.co_filename} {frame.f_code.co_qualname} "
                     f"{frame.f_globals.get('__name__')}")
        frame = frame.f_back
    print(len(found), *found, sep="\\n")
"""


def both(
    folder: Path, program: str, mode: str, files: dict[str, str] | None = None, **more: object
) -> tuple[Run, Run]:
    """The same program traced and not, in folders of the same name."""
    (folder / "traced").mkdir()
    (folder / "plain").mkdir()
    traced = run(folder / "traced" / "p", program, mode=mode, files=files, **more)  # type: ignore[arg-type]
    plain = run(folder / "plain" / "p", program, mode=None, files=files, **more)  # type: ignore[arg-type]
    return traced, plain


def shown(result: Run) -> tuple[int, str, str]:
    """Exit code and what was printed, less where it ran and the notes of ours.

    A note is all that may be added to a traceback; it stands after the exception's own line.
    """
    text = [out.replace(str(result.folder), "FOLDER") for out in (result.out, result.err)]
    kept = []
    noted = False
    for line in text[1].splitlines():
        if NOTE.match(line):
            noted = True
        elif noted and not re.match(r"(Traceback|\w+:|During|The above|  File|$)", line):
            continue
        else:
            noted = False
            kept.append(line)
    return result.code, text[0], "\n".join(kept)


NOTE = re.compile(r"importtrace")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "statement",
    ["import top", "importlib.import_module('top')", "__import__('top')", "from top import x",
     "importlib.reload(ready)", "spec.loader.exec_module(module)", "runpy.run_path('top.py')"],
)  # fmt: skip
def test_the_stack_inside_a_body_is_as_without_us(mode, statement, tmp_path):
    """Frame by frame: same number, files, functions and namespaces; none of ours."""
    program = f"""
    import importlib, importlib.util, runpy, ready
    ready.again = True
    spec = importlib.util.spec_from_file_location("top", "top.py")
    module = importlib.util.module_from_spec(spec)
    def function():
        {statement}
    function()
    """
    files = {
        "top.py": "import inner\nx = 1\n",
        "inner.py": STACK,
        "ready.py": "if 'again' in globals():\n    import inner\n",
    }
    traced, plain = both(tmp_path, program, mode, files)
    assert shown(traced.ok()) == shown(plain.ok())
    assert "importtrace" not in traced.out


@pytest.mark.parametrize("mode", MODES)
def test_getframe_counts_alike_in_a_finder_s_spec_and_a_loader(mode, tmp_path):
    """A loader's create_module and exec_module, and a path hook, see the stack they know."""
    files = {"stack.py": "def show():\n" + STACK.replace("_getframe(1)", "_getframe(1)")}
    program = """
    import sys, stack
    from importlib.machinery import ModuleSpec
    class Loader:
        def create_module(self, spec):
            print("create", spec.loader is self, type(spec.loader).__name__)
            stack.show()
        def exec_module(self, module):
            print("exec", module.__loader__ is self, module.__spec__.loader is self)
            stack.show()
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "made":
                return ModuleSpec(name, Loader(), origin="nowhere")
    sys.meta_path.append(Finder())
    import made
    """
    traced, plain = both(tmp_path, program, mode, files)
    assert shown(traced.ok()) == shown(plain.ok())


C_SOURCE = """
#include <Python.h>
static PyObject *walk(void) {
    PyObject *sys = PyImport_ImportModule("stack_of");
    PyObject *result = sys ? PyObject_CallMethod(sys, "show", NULL) : NULL;
    Py_XDECREF(sys);
    return result;
}
static int execute(PyObject *module) {
    PyObject *result = walk();
    if (result == NULL) return -1;
    Py_DECREF(result);
    PyObject *inner = PyImport_ImportModule("from_c");
    if (inner == NULL) return -1;
    Py_DECREF(inner);
    return 0;
}
static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "cext", NULL, 0, NULL, slots};
PyMODINIT_FUNC PyInit_cext(void) { return PyModuleDef_Init(&definition); }
"""


@pytest.mark.parametrize("mode", MODES)
def test_the_stack_inside_a_c_extension_s_init(mode, tmp_path):
    """The init function of an extension module sees the stack it knows; its imports are recorded."""
    import shutil
    import sysconfig

    compiler = shutil.which("cc") or shutil.which("gcc")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if compiler is None or not header.exists():
        pytest.skip("no C compiler or no Python headers")
    source = tmp_path / "cext.c"
    source.write_text(C_SOURCE)
    built = tmp_path / ("cext" + sysconfig.get_config_var("EXT_SUFFIX"))
    subprocess.run(
        [compiler, "-shared", "-fPIC", f"-I{header.parent}", str(source), "-o", str(built)],
        check=True,
        timeout=60,
    )
    files = {"stack_of.py": "def show():\n" + STACK, "from_c.py": STACK}
    program = f"""
    import sys, stack_of
    sys.path.append({str(tmp_path)!r})
    import cext
    """
    traced, plain = both(tmp_path, program, mode, files)
    assert shown(traced.ok()) == shown(plain.ok())
    assert traced.parent(traced.load("from_c")) == "cext"
    assert traced.load("cext")["loader"] == "ExtensionFileLoader"


ERRORS = {
    "import_error": ({"bad.py": "raise ImportError('x')\n"}, "import bad"),
    "missing_module": ({"bad.py": "import nowhere_at_all\n"}, "import bad"),
    "missing_directly": ({}, "import nowhere_at_all"),
    "missing_child": ({"bad.py": ""}, "import bad.child"),
    "missing_name": ({"bad.py": "from json import nothing_such\n"}, "import bad"),
    "value_error": ({"bad.py": "def f():\n    raise ValueError('x')\nf()\n"}, "import bad"),
    "syntax_error": ({"bad.py": "x = 1\ndef f(:\n"}, "import bad"),
    "syntax_inner": ({"bad.py": "import worse\n", "worse.py": "  x = (\n"}, "import bad"),
    "null_bytes": ({"bad.py": "x = '\0'\n"}, "import bad"),
    "bad_encoding": ({"bad.py": "# coding: nothing\n"}, "import bad"),
    "keyboard": ({"bad.py": "raise KeyboardInterrupt\n"}, "import bad"),
    "exit": ({"bad.py": "raise SystemExit('bye')\n"}, "import bad"),
    "import_module": (
        {"bad.py": "1 / 0\n"},
        "import importlib; importlib.import_module('bad')",
    ),
    "import_module_missing": ({}, "import importlib; importlib.import_module('no.where')"),
    "import_module_import_error": (
        {"bad.py": "raise ImportError('x')\n"},
        "import importlib; importlib.import_module('bad')",
    ),
    "reload": (
        {"bad.py": "import sys\nsys.n = getattr(sys, 'n', 0) + 1\n1 / (sys.n - 2)\n"},
        "import bad, importlib; importlib.reload(bad)",
    ),
    "by_hand": (
        {"bad.py": "1 / 0\n"},
        "import importlib.util as u; s = u.spec_from_file_location('bad', 'bad.py'); "
        "m = u.module_from_spec(s); s.loader.exec_module(m)",
    ),
    "chained": (
        {"bad.py": "try:\n    import worse\nexcept ValueError:\n    raise KeyError('y')\n",
         "worse.py": "raise ValueError('x')\n"},
        "import bad",
    ),
    "finder": (
        {},
        "import sys; F = type('F', (), {'find_spec': staticmethod(lambda n, p=None, t=None: 1 / 0)});"
        " sys.meta_path.append(F); import nowhere_at_all",
    ),
    "finder_import_error": (
        {"f.py": "class F:\n    @staticmethod\n    def find_spec(n, p=None, t=None):\n"
                 "        raise ImportError('refused ' + n)\n"},
        "import sys, f; sys.meta_path.append(f.F); import nowhere_at_all",
    ),
    "create_module": (
        {"f.py": "from importlib.machinery import ModuleSpec\n"
                 "class L:\n    def create_module(self, spec): raise ValueError('c')\n"
                 "    def exec_module(self, module): pass\n"
                 "class F:\n    @staticmethod\n    def find_spec(n, p=None, t=None):\n"
                 "        return ModuleSpec(n, L())\n"},
        "import sys, f; sys.meta_path.append(f.F); import nowhere_at_all",
    ),
    "no_exec_module": (
        {"f.py": "from importlib.machinery import ModuleSpec\n"
                 "class F:\n    @staticmethod\n    def find_spec(n, p=None, t=None):\n"
                 "        return ModuleSpec(n, object())\n"},
        "import sys, f; sys.meta_path.append(f.F); import nowhere_at_all",
    ),
    "circular": (
        {"bad.py": "import worse\nx = 1\n", "worse.py": "from bad import x\n"},
        "import bad",
    ),
    "none_in_modules": ({}, "import sys; sys.modules['bad'] = None; import bad"),
    "relative": ({"bad.py": "from . import x\n"}, "import bad"),
    "own_thread": (
        {"bad.py": "1 / 0\n"},
        "import threading; t = threading.Thread(target=__import__, args=('bad',)); t.start();"
        " t.join()",
    ),
    "recursion": ({"bad.py": "def f(): f()\nf()\n"}, "import bad"),
    "printed": (
        {"bad.py": "1 / 0\n"},
        "import traceback\ntry:\n    import bad\nexcept Exception: traceback.print_exc(); print()",
    ),
    "excepthook": (
        {"bad.py": "1 / 0\n"},
        "import sys; sys.excepthook = lambda *a: print(a[0], a[2].tb_next); import bad",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ERRORS)
def test_tracebacks_are_equal_but_for_the_note(mode, name, tmp_path):
    """Frame for frame, line for line, at every entry: also where importlib's own frames stay."""
    files, statement = ERRORS[name]
    program = """
    import sys, traceback
    def walk(kind, value, tb):
        seen = set()
        while value is not None and id(value) not in seen:
            seen.add(id(value))
            print(type(value).__name__, value.args)
            tb = value.__traceback__
            while tb is not None:
                code = tb.tb_frame.f_code
                print(" ", code.co_filename, code.co_name, code.co_qualname, tb.tb_lineno,
                      tb.tb_frame.f_globals["__name__"])
                tb = tb.tb_next
            print(" ", "cause", type(value.__cause__), "suppressed", value.__suppress_context__)
            value = value.__context__
    try:
        STATEMENT
    except BaseException:
        walk(*sys.exc_info())
    """.replace("STATEMENT", statement.replace("\n", "\n        "))
    if name in ("own_thread", "excepthook"):
        program = statement
    traced, plain = both(tmp_path, program, mode, files)
    pattern = r"0x[0-9a-f]+|Thread-\d+ \(\w+\)"
    assert [re.sub(pattern, "-", str(x)) for x in shown(traced)] == [
        re.sub(pattern, "-", str(x)) for x in shown(plain)
    ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["value_error", "missing_module", "missing_name", "import_module",
                                  "syntax_error", "circular"])  # fmt: skip
def test_what_python_prints_is_equal_but_for_the_note(mode, name, tmp_path):
    """The text on stderr of an uncaught error, and the exit code."""
    files, statement = ERRORS[name]
    traced, plain = both(tmp_path, statement, mode, files)
    own = traced.err.replace(str(traced.folder), "F").splitlines()
    expected = plain.err.replace(str(plain.folder), "F").splitlines()
    assert traced.code == plain.code == 1
    assert own[: len(expected)] == expected, "something was put in between"
    if mode != "finder" and name not in ("missing_name",):
        assert own[len(expected) :], "no note on an uncaught import failure"


@pytest.mark.parametrize("mode", PROBED)
def test_a_deadlock_error_s_traceback_is_python_s_own(mode, tmp_path):
    """Two threads take two packages in opposite order; the error has no frame of ours."""
    program = """
    import threading, sys, traceback, gates
    def go(name):
        try:
            __import__(name)
        except BaseException as error:
            tb, frames = error.__traceback__, []
            while tb is not None:
                code = tb.tb_frame.f_code
                frames.append(f"{code.co_filename.rpartition('/')[2]} {code.co_name} {tb.tb_lineno}")
                tb = tb.tb_next
            out.append([type(error).__name__, frames])
    out = []
    threads = [threading.Thread(target=go, args=(name,)) for name in ("left", "right")]
    for thread in threads: thread.start()
    for thread in threads: thread.join(20)
    for one in sorted(out): print(one)
    print(len(out), any(thread.is_alive() for thread in threads))
    """
    files = {
        "gates.py": "import threading\nboth = threading.Barrier(2)\n",
        # each holds its package's lock while it asks for a child of the other
        "left/__init__.py": "import gates\ngates.both.wait(20)\nimport right.child\n",
        "left/child.py": "",
        "right/__init__.py": "import gates\ngates.both.wait(20)\nimport left.child\n",
        "right/child.py": "",
    }
    traced, plain = both(tmp_path, program, mode, files)
    # whichever thread is second sees the deadlock: names may be swapped, frames may not
    swap = re.compile(r"left|right")
    assert swap.sub("SIDE", traced.ok().out) == swap.sub("SIDE", plain.ok().out)


@pytest.mark.parametrize("mode", MODES)
def test_the_longest_chain_under_a_recursion_limit_is_as_long(mode, tmp_path):
    """A chain of imports that just fits without us fits with us, and the next one fails in both."""
    files = {f"c{number}.py": f"import c{number + 1}\n" for number in range(200)}
    files["c200.py"] = ""
    program = """
    import sys
    def fits(start, limit):
        for name in [n for n in sys.modules if n[0] == "c" and n[1:].isdigit()]:
            del sys.modules[name]
        old = sys.getrecursionlimit()
        sys.setrecursionlimit(limit)
        try:
            __import__(f"c{start}")
        except RecursionError:
            return False
        finally:
            sys.setrecursionlimit(old)
        return True
    fits(199, 900)
    found = []
    for limit in range(180, 260, 7):
        found.append(max((200 - n for n in range(160, 201) if fits(n, limit)), default=0))
    print(found)
    """
    traced, _ = both(tmp_path, program, mode, files)
    # without us, but as warm: the interpreter's caches change what a frame needs near the limit
    warm = f"{installing(mode)}; session.uninstall()\n" + textwrap.dedent(program).lstrip()
    plain = run(tmp_path / "warm", warm, mode=None, files=files)
    assert traced.ok().out == plain.ok().out
    assert traced.err == plain.err


@pytest.mark.parametrize("mode", MODES)
def test_warnings_are_blamed_on_the_right_line(mode, tmp_path):
    """``stacklevel`` counts frames: a DeprecationWarning of a body points at its importer."""
    files = {
        "old.py": "import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)\n",
        "older.py": "import warnings\nwarnings.warn('x', UserWarning, stacklevel=3)\n",
        "uses.py": "# one\n# two\nimport old\nimport older\n",
        "esc.py": "x = '\\d'\n",
    }
    program = "import uses\nimport importlib\nimport esc\nimportlib.import_module('older')\n"
    traced, plain = both(tmp_path, program, mode, files, flags=("-W", "always"))
    assert shown(traced.ok()) == shown(plain.ok())
    assert "uses.py:3: DeprecationWarning: old" in traced.err
    again = tmp_path / "again"
    again.mkdir()
    traced, plain = both(again, program, mode, files, flags=("-W", "error"))
    assert shown(traced) == shown(plain)


@pytest.mark.parametrize("mode", MODES)
def test_an_import_of_a_finished_module_calls_nothing_of_ours(mode, tmp_path):
    """Counted by ``sys.setprofile``: the same calls as without us, in every spelling."""
    program = """
    import sys, os, os.path, json.decoder, importlib
    from importlib import import_module
    calls = []
    def profile(frame, event, arg):
        calls.append((event, getattr(arg, "__name__", None) or frame.f_code.co_name))
    def body():
        import os
        import os.path
        import json.decoder
        from json import decoder, loads
        from json.decoder import JSONDecoder as J
        __import__("json")
        import_module("json.decoder")
    body()
    sys.setprofile(profile)
    body()
    sys.setprofile(None)
    print(len(calls), calls)
    """
    traced, plain = both(tmp_path, program, mode)
    assert traced.ok().out == plain.ok().out


@pytest.mark.parametrize("mode", MODES)
def test_specs_and_loaders_are_the_originals(mode, tmp_path):
    """On modules of every kind, after success, reload and failure, and from find_spec()."""
    program = """
    import importlib.util, sys, zipfile, pickle, copy
    with zipfile.ZipFile("z.zip", "w") as archive: archive.writestr("zipped.py", "")
    sys.path.append("z.zip")
    spec = importlib.util.find_spec("plain")
    print(type(spec).__qualname__, type(spec.loader).__qualname__, spec.origin, spec.has_location)
    print(pickle.loads(pickle.dumps(spec)) == spec, copy.deepcopy(spec) == spec)
    spec = importlib.util.find_spec("pkg.leaf")
    print(type(spec.loader), spec.loader.name)
    import plain, pkg.leaf, zipped, space, _symtable, __hello__
    importlib.reload(plain)
    try: import bad
    except ZeroDivisionError as error: kept = error.__traceback__
    while kept.tb_next: kept = kept.tb_next
    bad = kept.tb_frame.f_globals
    import types
    modules = [plain, pkg, pkg.leaf, zipped, space, _symtable, __hello__]
    for one in [vars(m) for m in modules] + [bad]:
        spec, loader = one["__spec__"], one["__loader__"]
        kind = loader if isinstance(loader, type) else type(loader)
        print(one["__name__"], kind.__module__, kind.__qualname__, spec.loader is loader,
              type(spec).__module__, sorted(vars(spec)), sorted(one))
    print(plain.__loader__.get_source("plain"), pkg.__loader__.is_package("pkg"))
    """
    files = {"plain.py": "x = 1\n", "pkg/__init__.py": "", "pkg/leaf.py": "",
             "bad.py": "1 / 0\n", "space/x.txt": ""}  # fmt: skip
    traced, plain = both(tmp_path, program, mode, files)
    assert shown(traced.ok()) == shown(plain.ok())


@pytest.mark.parametrize("mode", MODES)
def test_each_finder_is_asked_as_often_as_without_us(mode, tmp_path):
    """For found and for missing modules, by import and by find_spec; with the same arguments."""
    program = """
    import sys, importlib.util
    class Counts:
        def __init__(self, name): self.name = name
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("leaf", "pkg", "nowhere"):
                print(self.name, name, path and [p.rpartition("/")[2] for p in path], target)
    sys.meta_path.append(Counts("last"))
    sys.meta_path.insert(1 if session and session.mode != "probes" else 0, Counts("first"))
    import leaf
    import pkg.leaf
    importlib.util.find_spec("pkg.other")
    for name in ("nowhere", "pkg.nowhere", "leaf.x"):
        try: __import__(name)
        except ImportError as error: print(error)
    try: from pkg import nothing
    except ImportError as error: print(type(error))
    importlib.reload(leaf)
    importlib.invalidate_caches()
    """
    files = {"leaf.py": "", "pkg/__init__.py": "", "pkg/leaf.py": ""}
    traced, plain = both(tmp_path, program, mode, files)
    assert shown(traced.ok()) == shown(plain.ok())


@pytest.mark.parametrize("mode", MODES)
def test_a_meta_path_that_changes_while_importing(mode, tmp_path):
    """Finders that insert, remove and replace while they are being asked: as without us."""
    program = """
    import sys
    from importlib.machinery import PathFinder
    log = []
    class Removes:
        def find_spec(self, name, path=None, target=None):
            log.append(("removes", name))
            sys.meta_path.remove(self)
    class Inserts:
        def find_spec(self, name, path=None, target=None):
            if name == "two":
                sys.meta_path.append(Last())
            return None
    class Last:
        def find_spec(self, name, path=None, target=None):
            if name == "virtual":
                log.append(("last", name))
                return PathFinder.find_spec("real")
    class Clears:
        def find_spec(self, name, path=None, target=None):
            if name == "four":
                spec = PathFinder.find_spec(name, path)
                sys.meta_path[:] = [f for f in sys.meta_path if f is not self]
                return spec
    sys.meta_path.insert(0, Removes())
    import one
    sys.meta_path.append(Inserts())
    sys.meta_path.insert(0, Clears())
    import two, four
    saved = list(sys.meta_path)
    sys.meta_path = saved
    import three
    print(log, "four" in sys.modules)
    old, sys.meta_path = sys.meta_path, []
    try:
        import five
    except ImportError as error:
        print(error)
    sys.meta_path = old
    import five
    """
    files = {f"{name}.py": "" for name in ("one", "two", "three", "four", "five", "real")}
    traced, plain = both(tmp_path, program, mode, files, flags=("-W", "ignore"))
    assert shown(traced.ok()) == shown(plain.ok())
    # a finder in front of ours that answers, or makes importlib pass us over, is not seen
    for name in ("two", "three") if mode == "finder" else ("one", "two", "three", "four", "five"):
        assert name in traced.names


@pytest.mark.parametrize("mode", MODES)
def test_our_finder_is_a_finder_to_those_who_iterate(mode, tmp_path):
    """importlib.metadata, pkgutil, inspect and a repr of the meta path meet nothing odd."""
    program = """
    import sys, importlib.metadata, pkgutil, importlib.resources, importlib.abc
    print(importlib.metadata.version("pip"))
    print(len(list(importlib.metadata.distributions())) > 0)
    print([m.name for m in pkgutil.iter_modules(["pkg"])])
    print([m.name for m in pkgutil.walk_packages(["."]) if m.name.startswith("pkg")])
    print(importlib.resources.files("pkg").joinpath("data.txt").read_text())
    for finder in sys.meta_path:
        repr(finder), hash(finder), finder == finder, getattr(finder, "invalidate_caches", None)
        assert callable(finder.find_spec)
    print(pkgutil.get_data("pkg", "data.txt"), pkgutil.resolve_name("pkg.leaf:x"))
    """
    files = {"pkg/__init__.py": "", "pkg/leaf.py": "x = 1\n", "pkg/data.txt": "hello"}
    traced, plain = both(tmp_path, program, mode, files)
    if "PackageNotFoundError" in plain.err:
        pytest.skip("no pip in this environment")
    assert shown(traced.ok()) == shown(plain.ok())


@pytest.mark.parametrize("mode", MODES)
def test_settrace_and_setprofile_see_the_program_s_own_functions(mode, tmp_path):
    """A debugger's breakpoints are hit in bodies, and its function is called for the same lines."""
    program = """
    import sys
    lines = []
    def tracer(frame, event, arg):
        if frame.f_code.co_filename.endswith(("leaf.py", "outer.py")):
            lines.append((frame.f_code.co_name, event, frame.f_lineno))
        return tracer
    sys.settrace(tracer)
    import outer
    sys.settrace(None)
    print(lines)
    """
    files = {"outer.py": "import leaf\nx = 1\n", "leaf.py": "def f():\n    return 1\nf()\n"}
    traced, plain = both(tmp_path, program, mode, files)
    assert traced.ok().out == plain.ok().out
