"""What import hooks have broken elsewhere: finders, lazy modules, locks, and `sys.modules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from compat_support import PROBED, alike

if TYPE_CHECKING:
    from pathlib import Path


def test_finders_that_are_added_and_taken_away_meanwhile(tmp_path: Path) -> None:
    """Programs iterate and change `sys.meta_path` in one thread while others import."""
    program = """
    import sys, threading
    go, stop = threading.Barrier(5), threading.Event()
    class Passes:
        def find_spec(self, name, path=None, target=None): return None
    failed = []
    def changes():
        go.wait(20)
        while not stop.is_set():
            mine = Passes()
            sys.meta_path.insert(0, mine)
            for finder in list(sys.meta_path): getattr(finder, "find_spec", None)
            sys.meta_path.remove(mine)
    def imports(number):
        go.wait(20)
        try:
            for n in range(number, 60, 3): __import__(f"m{n}")
        except BaseException as error: failed.append(repr(error))
    threads = [threading.Thread(target=imports, args=(n,)) for n in range(3)]
    changer = threading.Thread(target=changes)
    for thread in [changer, *threads]: thread.start()
    go.wait(20)
    for thread in threads: thread.join(40)
    stop.set(); changer.join(20)
    print(failed, sum(f"m{n}" in sys.modules for n in range(60)), len(sys.meta_path)
          - sum(type(f).__module__.startswith("importtrace") for f in sys.meta_path))
    """
    files = {f"m{n}.py": f"import m{n + 1}\n" if n % 7 else "" for n in range(60)}
    files["m60.py"] = ""
    found = alike(tmp_path, program, files)
    for mode in PROBED:
        for number in range(60):
            assert found.traced[mode].load(f"m{number}")["outcome"] in ("ok", "waited")


@pytest.mark.parametrize("way", ["replaced", "emptied", "front", "none"])
def test_a_meta_path_that_is_replaced(way: str, tmp_path: Path) -> None:
    """Another list, another order, an empty one for a while: as without us."""
    program = f"""
    import sys
    from importlib.machinery import PathFinder
    way = {way!r}
    saved = sys.meta_path
    class Mine:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return PathFinder.find_spec("real") if name == "virtual" else None
    def attempt(name):
        try: print(name, __import__(name).__spec__.name)
        except BaseException as error: print(name, type(error).__name__, error)
    if way == "replaced": sys.meta_path = [Mine, *saved]
    elif way == "emptied": sys.meta_path = []
    elif way == "front": sys.meta_path.insert(0, Mine)
    elif way == "none": sys.meta_path = None
    for name in ("real", "virtual", "nowhere", "pkg.leaf"): attempt(name)
    sys.meta_path = saved
    for name in ("real", "pkg.leaf", "nowhere"): attempt(name)
    """
    files = {"real.py": "", "pkg/__init__.py": "", "pkg/leaf.py": ""}
    # -W ignore: an empty list is an ImportWarning of Python's
    alike(tmp_path, program, files, flags=("-W", "ignore"))


def test_caches_and_distributions_are_found(tmp_path: Path) -> None:
    """invalidate_caches reaches every finder once; importlib.metadata finds what finders offer."""
    program = """
    import importlib, importlib.metadata as metadata, os, sys
    class Offers:
        count = 0
        def find_spec(self, name, path=None, target=None): return None
        def invalidate_caches(self): Offers.count += 1
        def find_distributions(self, context=None):
            class Made(metadata.Distribution):
                def read_text(self, name): return "Name: made\\nVersion: 7\\n" if name == "METADATA" else None
                def locate_file(self, path): return path
            if getattr(context, "name", None) in (None, "made"): yield Made()
    sys.meta_path.insert(0, Offers())
    print(metadata.version("made"), metadata.version("acme"))
    for point in metadata.entry_points(group="acme.plugins"):
        print(point.name, point.load().__name__)
    try: metadata.version("nothing-such")
    except metadata.PackageNotFoundError as error: print(error)
    try: import made_later
    except ImportError: pass
    with open("made_later.py", "w") as file: file.write("x = 1")
    importlib.invalidate_caches()
    import made_later
    print(made_later.x, Offers.count)
    print(metadata.packages_distributions().get("plugin"))
    """
    files = {
        "plugin.py": "def run(): pass\n",
        "acme-1.5.dist-info/METADATA": "Name: acme\nVersion: 1.5\n",
        "acme-1.5.dist-info/entry_points.txt": "[acme.plugins]\none = plugin:run\ntwo = plugin\n",
        "acme-1.5.dist-info/RECORD": "plugin.py,,\n",
    }
    found = alike(tmp_path, program, files)
    assert found.out.startswith("7 1.5\none run\ntwo plugin\n")


def test_editable_finders_path_hooks_and_start_up_lines(tmp_path: Path) -> None:
    """A `.pth` line installs a finder and a path hook, as the build backends' editable installs do."""
    files = {
        "site/__editable___acme_finder.py": """
        import sys
        from importlib.machinery import ModuleSpec, PathFinder
        from importlib.util import spec_from_file_location
        MAPPING = {"acme": "../src/acme"}
        class Editable:
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                if name in MAPPING:
                    return spec_from_file_location(
                        name, f"src/{name}/__init__.py", submodule_search_locations=[f"src/{name}"])
        class Namespaces:
            @classmethod
            def _path_hook(cls, path):
                if path == "__editable__.acme.path_hook__": return cls
                raise ImportError
            @classmethod
            def find_spec(cls, name, target=None): return None
            @classmethod
            def invalidate_caches(cls): pass
        def install():
            sys.meta_path.append(Editable)
            sys.path_hooks.append(Namespaces._path_hook)
            sys.path.append("__editable__.acme.path_hook__")
        """,
        "site/__editable__.acme.pth": "import __editable___acme_finder; __editable___acme_finder.install()\n",
        "site/plain.pth": "extra\n",
        "site/extra/from_path.py": "",
        "src/acme/__init__.py": "import acme.leaf\n",
        "src/acme/leaf.py": "",
    }
    program = """
    import site, sys
    site.addsitedir("site")
    import acme, from_path, importlib.util
    for module in (acme, acme.leaf, from_path):
        print(module.__name__, type(module.__spec__.loader).__name__, module.__file__)
    print(len(sys.path_hooks), importlib.util.find_spec("acme.leaf").origin, acme.__path__)
    try: import acme.nothing
    except ImportError as error: print(error)
    """
    found = alike(tmp_path, program, files)
    for mode in PROBED:
        assert found.traced[mode].parent(found.traced[mode].load("acme.leaf")) == "acme"


def test_other_people_s_locks_and_ours(tmp_path: Path) -> None:
    """While one thread stands in others' code inside an import, all else goes on: no lock of ours is held."""
    program = """
    import _thread, importlib.util, sys, threading
    from importlib.machinery import ModuleSpec
    inside, leave = threading.Event(), threading.Event()
    class Blocks:
        def find_spec(self, name, path=None, target=None):
            return ModuleSpec(name, self) if name in ("create", "exec") else None
        def create_module(self, spec):
            if spec.name == "create": inside.set(); assert leave.wait(30)
        def exec_module(self, module):
            if module.__name__ == "exec": inside.set(); assert leave.wait(30)
    sys.meta_path.insert(0, Blocks())
    for name in ("create", "exec"):
        inside.clear(); leave.clear()
        thread = threading.Thread(target=__import__, args=(name,))
        thread.start()
        assert inside.wait(30)
        # the lock of a post-import hook, held while we import
        with threading.RLock():
            for n in range(20): __import__(f"{name}_{n}")
            importlib.util.find_spec("elsewhere")
        try: import missing
        except ImportError: pass
        importlib.reload(sys.modules[f"{name}_0"])
        ended = []
        other = threading.Thread(target=lambda: ended.append(__import__(f"{name}_other")))
        other.start(); other.join(30)
        print(name, len(ended), thread.is_alive())
        leave.set(); thread.join(30)
    # a finder's own lock, which its find_spec takes while another thread imports under it
    lock = threading.RLock()
    class Locks:
        def find_spec(self, name, path=None, target=None):
            with lock: return None
    sys.meta_path.insert(0, Locks())
    def work(part):
        for n in range(40): __import__(f"w{part}_{n}")
    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join(40)
    print(any(thread.is_alive() for thread in threads), lock.acquire(timeout=10))
    """
    files = {f"{part}_{n}.py": "" for part in ("create", "exec") for n in range(20)}
    files |= {f"w{part}_{n}.py": "" for part in range(4) for n in range(40)}
    files |= {"create_other.py": "", "exec_other.py": "", "elsewhere.py": ""}
    alike(tmp_path, program, files)


def test_sys_modules_stays_the_same_dictionary(tmp_path: Path) -> None:
    """It is walked while other threads import, and while imports fail; it is never replaced."""
    program = """
    import sys, threading
    before, ident = sys.modules, id(sys.modules)
    go, ended = threading.Barrier(2), threading.Event()
    def imports():
        go.wait(20)
        for n in range(100): __import__(f"m{n}")
        ended.set()
    thread = threading.Thread(target=imports)
    thread.start(); go.wait(20)
    walks = 0
    while walks < 10 or not ended.is_set():
        for name, module in list(sys.modules.items()): getattr(module, "__name__", None)
        walks += 1
    thread.join(20)
    print(sys.modules is before, id(sys.modules) == ident, type(sys.modules))
    mine = [n for n in sys.modules if n[0] == "m" and n[1:].isdigit()]
    print(mine == [f"m{n}" for n in range(100)])
    """
    alike(tmp_path, program, {f"m{n}.py": "" for n in range(100)})


def test_walking_sys_modules_while_imports_fail(tmp_path: Path) -> None:
    """As a program does that looks at an attribute of each module, some of which are lazy."""
    program = """
    import sys
    walked = 0
    for name in sys.modules:
        try: __import__(("nowhere", "first", "bad")[walked % 3])
        except (ImportError, ZeroDivisionError): walked += 1
        for gone in ("first", "second", "bad"): sys.modules.pop(gone, None)
    print(walked > 20)
    """
    files = {
        "first.py": "import second\nx = 1\n",
        "second.py": "from first import x\n",
        "bad.py": "1 / 0\n",
    }
    alike(tmp_path, program, files)


def test_lazy_modules_stay_lazy(tmp_path: Path) -> None:
    """LazyLoader, a module's `__getattr__`, and objects that tell of every look at them."""
    program = """
    import importlib.util, sys, types
    class Tells(types.ModuleType):
        def __getattribute__(self, name):
            print("looked at", object.__getattribute__(self, "__dict__").get("__name__"), name)
            return object.__getattribute__(self, name)
    class NotAModule:
        def __getattr__(self, name): print("asked for", name); raise AttributeError(name)
    sys.modules["tells"] = Tells("tells")
    sys.modules["odd"] = NotAModule()
    def lazily(name):
        spec = importlib.util.find_spec(name)
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    lazy, never = lazily("lazy"), lazily("never")
    import pep562
    for statement in ("import nowhere", "from pep562 import nothing", "import fails", "import first",
                      "from pep562 import late", "import tells.child"):
        try: exec(statement)
        except Exception as error: print(statement, type(error).__name__, error)
    print(object.__getattribute__(never, "__class__").__name__)
    print(lazy.value, object.__getattribute__(lazy, "__class__").__name__)
    import atexit
    atexit.register(lambda: print(object.__getattribute__(never, "__class__").__name__))
    """
    files = {
        "lazy.py": "print('lazy body')\nvalue = 1\n",
        "never.py": "print('never')\n",
        "pep562.py": "import lazy\ndef __getattr__(name):\n    print('getattr', name)\n"
        "    if name == 'late':\n        import late\n        return late\n"
        "    raise AttributeError(name)\n",
        "late.py": "",
        "fails.py": "import pep562\npep562.absent\n",
        "first.py": "import second\nx = 1\n",
        "second.py": "from first import x\n",
    }
    alike(tmp_path, program, files)


def test_every_body_runs_once_and_nothing_is_unloaded(tmp_path: Path) -> None:
    """The order of bodies and of `sys.modules` is as without us; so is what is no longer there."""
    program = """
    import sys
    before = list(sys.modules)
    sys.log = []
    import pkg.b, pkg
    from pkg import a, c
    for name in ("bad", "bad", "pkg.missing"):
        try: __import__(name)
        except Exception as error: sys.log.append(repr(error))
    import json, asyncio
    print(sys.log)
    # install() takes atexit, a built-in module, for itself
    ours = ("importtrace", "atexit", "sitecustomize")
    print([n for n in sys.modules if n.partition(".")[0] not in ours])
    print([n for n in before if n not in sys.modules])
    """
    body = "import sys\nsys.log.append(__name__)\n"
    files = {
        "pkg/__init__.py": body + "from . import a\n",
        "pkg/a.py": body + "import pkg.c\n",
        "pkg/b.py": body,
        "pkg/c.py": body + "import sibling\n",
        "sibling.py": body,
        "bad.py": body + "import gone\n1 / 0\n",
        "gone.py": body,
    }
    alike(tmp_path, program, files)


def test_nothing_of_the_standard_library_is_loaded_for_us(tmp_path: Path) -> None:
    """Neither by successes nor by failures: inspect, linecache, traceback, ast and all else stay out."""
    program = """
    import sys
    import plain
    try: import nowhere
    except ImportError: pass
    try: import first
    except ImportError: pass
    try: import bad
    except ZeroDivisionError: pass
    names = {n.partition(".")[0] for n in sys.modules}
    builtin = {"atexit"}  # compiled into the interpreter: no file is read, nothing runs
    print(sorted(names - {"importtrace", "sitecustomize"} - builtin))
    """
    files = {
        "plain.py": "",
        "first.py": "import second\nx = 1\n",
        "second.py": "from first import x\n",
        "bad.py": "1 / 0\n",
    }
    found = alike(tmp_path, program, files)
    assert "linecache" not in found.out


def test_hooks_in_a_row_cost_what_they_cost_without_us(tmp_path: Path) -> None:
    """Twenty finders, some of which ask the others again: as many questions as without us."""
    program = """
    import importlib.util, sys
    asked = {}
    class Counts:
        def __init__(self, number): self.number = number
        def find_spec(self, name, path=None, target=None):
            if name.startswith(("leaf", "nowhere")):
                asked[name] = asked.get(name, 0) + 1
    class Asks:  # as wrapt's: asks the rest by importlib.util.find_spec, itself aside
        busy = ()
        def find_spec(self, name, path=None, target=None):
            if name in self.busy or not name.startswith(("leaf", "nowhere")): return None
            self.busy = (*self.busy, name)
            try: return importlib.util.find_spec(name)
            finally: self.busy = self.busy[:-1]
    for number in range(20):
        sys.meta_path.insert(0, Asks() if number in (7, 14) else Counts(number))
    import leaf, leaf2
    print(asked)
    if MISSING:
        try: import nowhere
        except ImportError: pass
        print(asked)
    """
    files = {"leaf.py": "", "leaf2.py": ""}
    alike(tmp_path / "found", program.replace("MISSING", "False"), files)
    alike(tmp_path / "all", program.replace("MISSING", "True"), files, modes=PROBED)
