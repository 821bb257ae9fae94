"""What import hooks have broken elsewhere: how programs start, go on to others, fork, and end."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest
from capture_support import python, write
from compat_support import PROBED, alike, start

from importtrace.inject import SITE

SEAMS = """
import builtins, sys, threading, _frozen_importlib as a, _frozen_importlib_external as b
owners = [a, b, a._ModuleLock, a.ModuleSpec, a.BuiltinImporter, b.PathFinder, b.SourceFileLoader,
          builtins, sys, threading]
before = [dict(vars(owner)) for owner in owners]
finders = len(sys.meta_path)
import importtrace
importtrace.install(mode=sys.argv[1], log="off")
for owner, old in zip(owners, before):
    for name, value in vars(owner).items():
        if old.get(name) is not value: print(owner.__name__, name)
print(len(sys.meta_path) - finders)
"""


def test_modes_auto_and_probes_place_the_same_seams(tmp_path: Path) -> None:
    """So what is shown of the one here is shown of the other."""
    runs = [python(tmp_path, "-c", SEAMS, mode).ok() for mode in ("auto", "probes")]
    assert runs[0].out == runs[1].out
    assert "_ModuleLock acquire" in runs[0].out


MAIN = """
import sys
frame, depth = sys._getframe(), 0
while frame: frame, depth = frame.f_back, depth + 1
spec = globals().get("__spec__")
print(__name__, __package__, spec and spec.name, type(__loader__).__name__, depth,
      [a.rpartition("/")[2] for a in sys.argv], sys.path[0].rpartition("/")[2], sorted(globals()))
"""


@pytest.mark.parametrize(
    "arguments",
    [("-m", "mod", "a"), ("-m", "pkg", "b"), ("-m", "pkg.leaf"), ("-m", "pkg.early"), ("app",),
     ("app.pyz", "c"), ("-m", "zipped"), ("-c", "import mod"), ("-m", "runs"), ("-m", "nowhere"),
     ("-m", "pkg.nowhere"), ("-m", "space"), ("-m", "fails")],
    ids=" ".join,
)  # fmt: skip
def test_ways_to_run_a_module(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """`python -m`, a folder, a zip application, runpy: `get_code` and the rest is the loader's own."""
    files = {
        "mod.py": MAIN,
        "pkg/__init__.py": "",
        "pkg/__main__.py": MAIN,
        "pkg/leaf.py": MAIN,
        "pkg/early.py": MAIN,
        "app/__main__.py": "import helper\n" + MAIN,
        "app/helper.py": "print(__name__, type(__loader__).__name__)",
        "space/part.py": "",
        "fails.py": "import mod\n1 / 0\n",
        "runs.py": "import runpy, sys\n"
        "for r in (lambda: runpy.run_module('mod', alter_sys=True), lambda: runpy.run_path('mod.py'),\n"
        "          lambda: runpy.run_path('app'), lambda: runpy.run_path('app.pyz', run_name='n'),\n"
        "          lambda: runpy.run_module('pkg', run_name='__main__')):\n"
        "    print(len(r()))\n",
    }
    if "pkg.early" in arguments:
        files["pkg/__init__.py"] = "import pkg.early\n"  # runpy warns of it
    for mode in ("plain", "auto", "probes", "finder"):
        folder = tmp_path / mode / "p"
        folder.mkdir(parents=True)
        with zipfile.ZipFile(folder / "app.pyz", "w") as archive:
            archive.writestr("__main__.py", MAIN)
            archive.writestr("zipped/__init__.py", "")
            archive.writestr("zipped/__main__.py", MAIN)
    env = {"PYTHONWARNINGS": "always"}
    alike(tmp_path, None, files, arguments, code=None, env=env, path="app.pyz")


def test_a_fork_in_the_middle_of_an_import(tmp_path: Path) -> None:
    """The child goes on with the import that its parent was in; both end well."""
    program = """
    import os, sys
    import outer
    if outer.pid == 0:
        import only_child
        print("child", outer.done, "only_child" in sys.modules, flush=True)
        sys.exit(3)
    _, status = os.waitpid(outer.pid, 0)
    print("parent", os.waitstatus_to_exitcode(status), outer.done, "only_child" in sys.modules)
    """
    files = {
        "outer.py": "import inner\npid = inner.pid\ndone = True\n",
        "inner.py": "import os\npid = os.fork()\nimport late\n",
        "late.py": "",
        "only_child.py": "",
    }
    alike(tmp_path, program, files, flags=("-W", "error"))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, tmp_path: Path) -> None:
    """Each way of starting processes; a pool; an error that comes back from a child."""
    program = f"""
    import multiprocessing, sys
    def work(number):
        import late
        if number == 3: import nowhere_at_all
        return late.double(number)
    if __name__ == "__main__":
        context = multiprocessing.get_context({method!r})
        with context.Pool(2) as pool:
            print(pool.map(work, [1, 2]))
            try: pool.apply(work, (3,))
            except ImportError as error: print(type(error).__name__, error, error.name)
            pool.close(); pool.join()
        process = context.Process(target=work, args=(3,))
        process.start(); process.join(40)
        print(process.exitcode)
    """
    files = {"late.py": "def double(n): return 2 * n\n"}
    # the place in a child's traceback of what started it differs by itself: pids, process numbers
    alike(tmp_path, program, files, varies=r"Process \S+:|\d{3,}")


def test_the_end_of_the_interpreter_is_quiet(tmp_path: Path) -> None:
    """Imports in atexit, in `__del__` after the modules are gone, and in daemon threads."""
    program = """
    import atexit, sys, threading
    class Late:
        def __del__(self, stream=sys.stdout, get=__import__):
            for name in ("late", "nowhere", "json"):
                try: get(name); stream.write(f"got {name}\\n")
                except BaseException as error: stream.write(f"{type(error).__name__}\\n")
    keep = Late()
    builtin = sys.modules["builtins"].keep_too = Late()
    atexit.register(__import__, "at_exit")
    @atexit.register
    def last():
        try: import nowhere
        except ImportError: print("none")
    def spins():
        while True:
            for name in ("spin_a", "spin_b"):
                sys.modules.pop(name, None)
                try: __import__(name)
                except BaseException: pass
            going.set()
    going = threading.Event()
    threading.Thread(target=spins, daemon=True).start()
    assert going.wait(20)
    """
    files = {"late.py": "", "at_exit.py": "print(__name__)\n", "spin_a.py": "", "spin_b.py": ""}
    found = alike(tmp_path, program, files)
    assert found.plain.err == ""


def test_the_sitecustomize_and_usercustomize_of_the_user_run(tmp_path: Path) -> None:
    """Both, once, in their order, from PYTHONPATH; each is the module of its name."""
    files = {
        "mine/sitecustomize.py": "import sys\n"
        "print('site', __name__, 'sitecustomize' in sys.modules)\nx = 1\n",
        "mine/usercustomize.py": "print('user', __name__)\n",
    }
    program = """
    import os, sys
    for name in ("sitecustomize", "usercustomize"):
        module = sys.modules.get(name)
        print(name, module and module.__file__.rpartition("/")[2], getattr(module, "x", None))
    print([p.rpartition("/")[2] for p in sys.path[:2]])
    """
    found = alike(tmp_path, program, files, path="mine", flags=("-s",))
    assert found.out.startswith("site sitecustomize True\n")


CHAINS = {
    # New Relic's: the next one's code runs in this module
    "load_module": "spec = PathFinder.find_spec('sitecustomize', sys.path)\n"
    "if spec is not None: spec.loader.load_module('sitecustomize')\n",
    # Datadog's: the next one is imported in this one's place
    "import": "this = sys.modules.pop('sitecustomize')\n"
    "try:\n    import sitecustomize\nexcept ImportError:\n    sys.modules['sitecustomize'] = this\n",
    "exec_module": "spec = PathFinder.find_spec('sitecustomize', sys.path)\n"
    "if spec is not None:\n    module = module_from_spec(spec)\n"
    "    try: spec.loader.exec_module(module)\n    except ImportError: pass\n",
}


@pytest.mark.parametrize("behind", [True, False], ids=["one behind", "none behind"])
@pytest.mark.parametrize(
    "chain",
    [
        pytest.param(
            "load_module",
            marks=pytest.mark.skipif(
                "sys.version_info >= (3, 15)", reason="3.15 no longer calls load_module()"
            ),
        ),
        "import",
        "exec_module",
    ],
)
def test_a_sitecustomize_that_goes_on_to_the_next(chain: str, behind: bool, tmp_path: Path) -> None:
    """Another tool's comes first and runs ours as the next; it ends well, and so does the user's."""
    tool = (
        "import sys\nfrom importlib.machinery import PathFinder\n"
        "from importlib.util import module_from_spec\n"
        f"sys.path.remove({str(tmp_path / 'tool')!r})\n{CHAINS[chain]}print('tool is done')\n"
    )
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "sitecustomize.py").write_text(tool)
    files = {"user/sitecustomize.py": "print('user')\nmark = 1\n"} if behind else {}
    program = """
    import sys
    import leaf
    print(getattr(sys.modules.get("sitecustomize"), "mark", None))
    """
    # as the tool's launcher does it: in front of what PYTHONPATH was
    path = f"{tmp_path / 'tool'}{os.pathsep}"
    user = f"{os.pathsep}user" if behind else ""
    shown = []
    for mode, between in ((None, ""), ("auto", SITE)):
        folder = tmp_path / (mode or "plain")
        write(folder, {**files, "leaf.py": "", "program.py": program})
        env = {"PYTHONPATH": f"{path}{between}{user}", "PYTHONWARNINGS": "ignore"}
        if mode:
            env |= {"IMPORTTRACE": "1", "IMPORTTRACE_LOG": "off"}
            env |= {"IMPORTTRACE_FILE": str(folder / "trace.jsonl")}
        done = python(folder, "program.py", env=env)
        shown.append((done.code, done.out, done.err))
    assert shown[1] == shown[0]
    assert "tool is done" in shown[0][1]
    assert '"module": "leaf"' in (tmp_path / "auto" / "trace.jsonl").read_text()


def test_children_are_traced_and_find_their_environment(tmp_path: Path) -> None:
    """A child started by the program, one with an environment made anew, one by a shell."""
    program = """
    import os, subprocess, sys
    code = "import sys, child; print('child', [p.rpartition('/')[2] for p in sys.path[:3]])"
    for env in (None, {**os.environ, "PYTHONPATH": "mine"}, {"PYTHONPATH": "mine"}):
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        print(done.returncode, done.stdout, done.stderr)
    print(len(sys.meta_path) - sum(type(f).__module__.startswith("importtrace") for f in sys.meta_path))
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-c", "import child; print('became')"])
    """
    # a process that becomes another leaves the other's trace under its own pid
    found = alike(tmp_path, program, {"mine/child.py": ""}, path="mine")
    for mode, run in found.traced.items():
        traces = list(run.folder.glob("trace-*.jsonl"))
        assert len(traces) == 2, f"mode {mode}: the child and what the process became: {traces}"


@pytest.mark.parametrize(
    "damage",
    ["_recorder.py", "_probes.py", "session.py", "config.py", "__init__.py"],
)
def test_half_an_importtrace_never_stops_the_program(damage: str, tmp_path: Path) -> None:
    """A file missing, empty, or broken in the copy that is injected: one line, and the program runs."""
    import shutil

    import importtrace

    package = Path(importtrace.__file__).parent
    for way in ("missing", "broken"):
        folder = tmp_path / way
        copy = folder / "place" / "importtrace"
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        if way == "missing":
            (copy / damage).unlink()
        else:
            (copy / damage).write_text("raise OSError('half a file')\n")
        (folder / "program.py").write_text("import json\nprint(json.dumps([1]))\n")
        site = copy / "inject" / "site"
        env = {"IMPORTTRACE": "1", "IMPORTTRACE_LOG": "off"}
        # the copy comes first, so that it is not this environment's own that is taken
        run = start(folder, ["program.py"], None, env, path=f"{site}{os.pathsep}{copy.parent}")
        assert (run.code, run.out) == (0, "[1]\n")
        assert run.err.count("\n") <= 1, run.err


def test_sub_interpreters(tmp_path: Path) -> None:
    """Their imports work, fail and end as without us; the main one is traced as before."""
    program = """
    import sys
    try: import _interpreters as interpreters
    except ImportError:
        try: import _xxsubinterpreters as interpreters
        except ImportError: sys.exit(77)
    for _ in range(2):
        one = interpreters.create()
        interpreters.run_string(one, "import sys; sys.path.insert(0, '.')")
        interpreters.run_string(one, "import leaf, json.decoder; print(leaf.x)")
        failed = interpreters.run_string(one, "try:\\n    import nowhere\\nexcept ImportError as e: print(e)")
        sys.stdout.flush()
        interpreters.destroy(one)
    import leaf
    print(leaf.x)
    """
    found = alike(tmp_path, program, {"leaf.py": "x = 1\n"}, code=None, flags=("-W", "ignore"))
    if found.plain.code == 77:
        pytest.skip("this interpreter shows no sub-interpreters")
    for mode in PROBED:
        assert found.traced[mode].loads("leaf"), "the main interpreter's load"


def test_interpreters_without_the_gil_are_not_switched_back(tmp_path: Path) -> None:
    """Our modules are pure Python: nothing of ours brings the GIL back, or takes it away."""
    program = """
    import sys
    print(getattr(sys, "_is_gil_enabled", lambda: None)(), sys.getswitchinterval(), sys.flags)
    """
    found = alike(tmp_path, program)
    assert found.out.split()[0] in ("True", "False", "None")


if sys.platform == "win32":  # pragma: no cover
    pytest.skip("the programs here fork and use POSIX paths", allow_module_level=True)
