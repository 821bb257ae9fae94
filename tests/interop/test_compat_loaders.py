"""What import hooks have broken elsewhere: loaders, specs, resources, and who may look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from compat_support import PROBED, alike

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = {
    "pkg/__init__.py": "x = 1\n",
    "pkg/leaf.py": "y = 2\n",
    "pkg/data.txt": "text\n",
    "space/part.py": "",
    "space/note.txt": "note\n",
}


def test_pkg_resources_finds_a_provider_for_each_loader(tmp_path: Path) -> None:
    """Its look-up goes by the loader's type: package, namespace package, zip; and by what it offers."""
    program = """
    import sys, warnings, zipfile
    warnings.simplefilter("ignore")
    try:
        import pkg_resources
    except ImportError:
        try:
            from pip._vendor import pkg_resources
        except ImportError:
            raise SystemExit(77)
    import importlib
    with zipfile.ZipFile("z.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", "")
        archive.writestr("zipped/data.txt", "zipped text")
    sys.path.append("z.zip")
    import pkg, zipped, space.part, json
    for module in (pkg, zipped, json):
        provider = pkg_resources.get_provider(module.__name__)
        print(type(provider).__name__, type(provider.loader).__name__)
        print(sorted(n for n in pkg_resources.resource_listdir(module.__name__, "") if n[0] != "_")[:3])
    for name in ("pkg", "zipped"):
        print(pkg_resources.resource_exists(name, "data.txt"), pkg_resources.resource_string(name, "data.txt"))
        print(pkg_resources.resource_isdir(name, "data.txt"))
    print(pkg_resources.resource_filename("pkg", "data.txt").rpartition("/")[2])
    try: print(type(pkg_resources.get_provider("space")).__name__)
    except TypeError as error: print(error)  # some releases of it know no namespace packages
    print([str(d) for d in pkg_resources.find_distributions("dists")])
    """
    files = {**PACKAGE, "dists/acme-1.5.dist-info/METADATA": "Name: acme\nVersion: 1.5\n"}
    found = alike(tmp_path, program, files, code=None)
    if found.plain.code == 77:
        pytest.skip("neither setuptools nor pip brings pkg_resources here")
    assert "DefaultProvider SourceFileLoader" in found.out
    assert "ZipProvider zipimporter" in found.out
    assert "acme 1.5" in found.out


def test_resources_of_packages_namespace_packages_and_zips(tmp_path: Path) -> None:
    """`importlib.resources.files`, `as_file`, and the reader of each loader."""
    program = """
    import sys, zipfile, importlib.resources as resources
    with zipfile.ZipFile("z.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", "")
        archive.writestr("zipped/data.txt", "zipped text")
    sys.path.append("z.zip")
    import pkg, space, zipped, pkg.leaf
    for package, name in ((pkg, "data.txt"), (space, "note.txt"), (zipped, "data.txt"),
                          ("pkg", "data.txt"), ("space", "note.txt")):
        root = resources.files(package)
        print(type(root).__name__, (root / name).read_text(), sorted(p.name for p in root.iterdir()))
        with resources.as_file(root / name) as path:
            print(path.suffix, path.is_file())
    for module in (pkg, space, zipped):
        reader = module.__spec__.loader.get_resource_reader(module.__name__)
        print(type(reader).__module__, type(reader).__name__)
    print(resources.files(pkg.leaf.__package__).name)
    """
    found = alike(tmp_path, program, PACKAGE)
    assert "MultiplexedPath note" in found.out


def test_loaders_are_the_originals_after_success_failure_and_reload(tmp_path: Path) -> None:
    """`__loader__` and `__spec__.loader`, seen from the body, afterwards, and of the dead module."""
    program = """
    import importlib.util, sys
    def tell(where, namespace):
        spec, loader = namespace["__spec__"], namespace["__loader__"]
        print(where, type(loader).__module__, type(loader).__qualname__, spec.loader is loader,
              loader.name, loader.path.rpartition("/")[2], spec.loader.__class__ is type(loader),
              sorted(vars(loader)))
    sys.tell = tell
    import good
    tell("after", vars(good))
    importlib.reload(good)
    tell("after reload", vars(good))
    for _ in range(2):
        try:
            import bad
        except ZeroDivisionError as error:
            tb = error.__traceback__
            while tb.tb_next: tb = tb.tb_next
            tell("after failure", tb.tb_frame.f_globals)
    sys.heal = True
    import bad
    tell("after all", vars(bad))
    sys.heal = False
    try: importlib.reload(bad)
    except ZeroDivisionError: tell("after failed reload", vars(bad))
    print(importlib.util.find_spec("good") is good.__spec__, "bad" in sys.modules)
    for module in list(sys.modules.values()):
        spec = getattr(module, "__spec__", None)
        if spec is not None and module.__name__.partition(".")[0] != "importtrace":
            for loader in (spec.loader, getattr(module, "__loader__", None)):
                kind = loader if isinstance(loader, type) else type(loader)
                assert "importtrace" not in kind.__module__, module
    """
    files = {
        "good.py": "import sys\nsys.tell('good', globals())\n",
        "bad.py": "import sys\nsys.tell('bad', globals())\n1 / getattr(sys, 'heal', 0)\n",
    }
    alike(tmp_path, program, files)


def test_a_loader_s_type_is_what_it_says(tmp_path: Path) -> None:
    """isinstance, `type() is` and `__class__` agree, for the loader of a module and of a spec."""
    program = """
    import importlib.util, json, sys, pkg
    from importlib import abc, machinery as m
    from importlib.machinery import SourceFileLoader, PathFinder
    kinds = [m.SourceFileLoader, m.ExtensionFileLoader, m.BuiltinImporter, m.FrozenImporter,
             abc.Loader, abc.InspectLoader, abc.ExecutionLoader, abc.FileLoader, abc.SourceLoader]
    def tell(loader):
        made = isinstance(loader, type)
        print([(issubclass if made else isinstance)(loader, kind) for kind in kinds],
              made or type(loader) is loader.__class__, made or type(loader) is SourceFileLoader)
    for name in ("pkg", "pkg.leaf", "json", "_json", "sys", "zipimport", "os"):
        __import__(name)
        module = sys.modules[name]
        tell(module.__loader__)
        tell(module.__spec__.loader)
    tell(importlib.util.find_spec("pkg.other").loader)
    tell(PathFinder.find_spec("pkg").loader)
    class Watching:  # what another hook is given for an import that is under way
        @staticmethod
        def find_spec(name, path=None, target=None):
            spec = PathFinder.find_spec(name, path)
            if name.startswith("pkg"): tell(spec.loader)
            return spec
    sys.meta_path.insert(0, Watching)
    import pkg.third
    """
    alike(tmp_path, program, {**PACKAGE, "pkg/other.py": "", "pkg/third.py": ""})


@pytest.mark.skipif("sys.version_info >= (3, 15)", reason="3.15 no longer calls load_module()")
def test_loaders_that_know_only_load_module(tmp_path: Path) -> None:
    """Old loaders work, with Python's own ImportWarning and nobody else's."""
    program = """
    import sys
    from importlib.machinery import ModuleSpec
    class Old:
        def load_module(self, name):
            module = sys.modules.setdefault(name, type(sys)(name))
            module.value = "loaded " + name
            if name == "breaks": raise ValueError(name)
            return module
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return ModuleSpec(name, Old()) if name in ("old", "breaks") else None
    sys.meta_path.append(Finder)
    import old
    print(old.value, type(old.__loader__), old.__spec__.loader is old.__loader__, sorted(vars(old)))
    try: import breaks
    except ValueError as error: print(error, "breaks" in sys.modules)
    """
    alike(tmp_path, program, flags=("-W", "always"))


def test_loaders_without_get_code_or_create_module_or_anything(tmp_path: Path) -> None:
    """Every half-made loader works or fails as without us, and in the same words."""
    program = """
    import importlib, importlib.util, sys, types
    from importlib.machinery import ModuleSpec
    class Both:
        def create_module(self, spec): return None
        def exec_module(self, module): module.value = "both"
    class NoCreate:
        def exec_module(self, module): module.value = "no create"
    class NoExec:
        def create_module(self, spec): return types.ModuleType(spec.name)
    class OwnModule:
        def create_module(self, spec):
            module = types.SimpleNamespace(value="not a module")
            return module
        def exec_module(self, module): pass
    class Slots:
        __slots__ = ()
        def create_module(self, spec): return None
        def exec_module(self, module): module.value = "slots"
    class Replaces:
        def create_module(self, spec): return None
        def exec_module(self, module): sys.modules[module.__name__] = Replaced()
    class Replaced:
        value = "replaced"
    class Removes:
        def create_module(self, spec): return None
        def exec_module(self, module): del sys.modules[module.__name__]
    class Static:
        @staticmethod
        def create_module(spec): return None
        @classmethod
        def exec_module(cls, module): module.value = "static"
    kinds = {k.__name__.lower(): k for k in (Both, NoCreate, NoExec, OwnModule, Slots, Replaces, Removes)}
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "static": return ModuleSpec(name, Static)
            if name == "none": return ModuleSpec(name, None)
            if name == "noneplaces":
                spec = ModuleSpec(name, None, is_package=True)
                spec.submodule_search_locations = ["nowhere"]
                return spec
            if name == "nonsense": return "a string"
            return ModuleSpec(name, kinds[name]()) if name in kinds else None
    sys.meta_path.insert(0, Finder)
    for name in [*kinds, "static", "none", "noneplaces", "nonsense", "_thread"]:
        try:
            module = importlib.import_module(name)
            print(name, getattr(module, "value", None), type(module).__name__,
                  type(getattr(module, "__loader__", None)).__name__,
                  type(getattr(getattr(module, "__spec__", None), "loader", None)).__name__)
        except Exception as error:
            print(name, type(error).__name__, error, name in sys.modules)
        try:
            spec = importlib.util.find_spec(name)
            print("  spec", type(spec).__name__, type(getattr(spec, "loader", None)).__name__)
        except Exception as error:
            print("  spec", type(error).__name__, error)
    """
    alike(tmp_path, program, varies=r"0x[0-9a-f]+")


def test_what_a_loader_offers_is_there_while_importing_and_after(tmp_path: Path) -> None:
    """get_filename, is_package, get_source, get_data, get_code, path_stats, get_resource_reader."""
    program = """
    import sys, inspect, linecache, pkgutil
    def tell(namespace):
        loader, name = namespace["__spec__"].loader, namespace["__name__"]
        print(name, loader.get_filename(name).rpartition("/")[2], loader.is_package(name))
        print(repr(loader.get_source(name)), loader.get_data(loader.get_filename())[:20])
        print(loader.get_code(name).co_name, sorted(loader.path_stats(loader.path)))
        print(type(loader.get_resource_reader(name)).__name__)
        try: loader.get_filename("another")
        except ImportError as error: print(error)
    sys.tell = tell
    import pkg, pkg.leaf, teller
    for module in (pkg, pkg.leaf): tell(vars(module))
    namespace = {"__loader__": pkg.__loader__, "__name__": "pkg"}
    print(inspect.getsource(pkg.leaf), linecache.getline("<x>", 1, namespace))
    print(pkgutil.get_data("pkg", "data.txt"), sorted(m.name for m in pkgutil.iter_modules(pkg.__path__)))
    print([m.name for m in pkgutil.walk_packages(["."]) if m.name.startswith(("pkg", "tel"))])
    """
    files = {**PACKAGE, "teller.py": "import sys\nsys.tell(globals())\n"}
    alike(tmp_path, program, files)


# What jinja2.loaders.PackageLoader.__init__ asks of a package; the real one: tools/real_packages.py.
JINJA = """
import importlib, importlib.util, os, sys, zipfile, zipimport
def templates(package):
    importlib.import_module(package)
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.loader is not None
    loader = spec.loader
    if isinstance(loader, zipimport.zipimporter):
        pkgdir = next(iter(spec.submodule_search_locations))
        root = os.path.join(pkgdir, "templates").removeprefix(loader.archive + os.sep)
        files = loader._get_files() if hasattr(loader, "_get_files") else loader._files
        names = sorted(n for n in files if n.startswith(root))
        return type(loader).__name__, names, loader.get_data(os.path.join(pkgdir, "templates", "a.html"))
    roots = list(spec.submodule_search_locations) if spec.submodule_search_locations else [spec.origin]
    found = [os.path.join(root, "templates") for root in roots]
    found = [root for root in found if os.path.isdir(root)]
    return type(loader).__name__, len(found), open(os.path.join(found[0], "a.html"), "rb").read()
with zipfile.ZipFile("z.zip", "w") as archive:
    archive.writestr("zipped/__init__.py", "")
    archive.writestr("zipped/templates/a.html", "<zip>")
sys.path.append("z.zip")
for package in ("site", "space", "zipped"):
    print(templates(package + "_pages" if package == "site" else package))
"""


def test_templates_are_found_beside_their_package(tmp_path: Path) -> None:
    """Jinja2's PackageLoader reads the spec's loader, its archive, and the search locations."""
    files = {
        "site_pages/__init__.py": "",
        "site_pages/templates/a.html": "<site>",
        "space/templates/a.html": "<space>",
    }
    found = alike(tmp_path, JINJA, files)
    assert found.out.count("<") == 3


def test_pickle_and_copies_of_specs_loaders_and_classes(tmp_path: Path) -> None:
    """All protocols; copy and deepcopy; while the module is being loaded, too."""
    program = """
    import copy, pickle, sys
    def tell(namespace):
        spec = namespace["__spec__"]
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(spec, protocol))
            print(again == spec, type(again.loader).__name__, again.loader == spec.loader)
        print(copy.copy(spec) == spec, copy.deepcopy(spec) == spec, copy.deepcopy(spec.loader) == spec.loader)
        print(pickle.loads(pickle.dumps(spec.loader)).path.rpartition("/")[2])
    sys.tell = tell
    import shapes, json.decoder
    tell(vars(shapes)); tell(vars(json.decoder))
    point = shapes.Point(3)
    print(pickle.loads(pickle.dumps(point)) == point, pickle.loads(pickle.dumps(shapes.Point)) is shapes.Point)
    print(copy.deepcopy({"a": point, "c": shapes.Point})["c"] is shapes.Point)
    for module in (shapes, sys):
        try: pickle.dumps(module)
        except TypeError as error: print(error)
    try: import nowhere
    except ImportError as error:
        again = pickle.loads(pickle.dumps(error))
        print(type(again), again.name, again.args)
    """
    files = {
        "shapes.py": "import sys\nfrom dataclasses import dataclass\n@dataclass\nclass Point:\n"
        "    x: int\nsys.tell(globals())\n"
    }
    alike(tmp_path, program, files)


def test_every_kind_of_loader_there_is(tmp_path: Path) -> None:
    """Source, bytecode only, extension, built-in, frozen, namespace, zip; with what each module has."""
    program = """
    import importlib.util, os, py_compile, sys, zipfile
    with zipfile.ZipFile("z.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", "")
        archive.writestr("zipped/leaf.py", "v = __file__")
    sys.path.append("z.zip")
    open("only.py", "w").write("value = 1\\n")
    py_compile.compile("only.py", "only.pyc"); os.unlink("only.py")
    names = ["pkg", "pkg.leaf", "only", "zipped", "zipped.leaf", "space", "space.part", "_json",
             "__hello__", "__phello__", "__phello__.spam", "_symtable", "faulthandler", "zipimport"]
    for name in names:
        module = importlib.import_module(name)
        spec = module.__spec__
        loader = module.__loader__
        kind = loader if isinstance(loader, type) else type(loader)
        print(name, kind.__qualname__, spec.loader is loader, spec.has_location, spec.cached is None,
              str(spec.origin)[-8:], sorted(vars(module))[:14], module in sys.modules.values(),
              type(getattr(module, "__path__", None)).__name__, repr(module)[:20])
    """
    found = alike(tmp_path, program, PACKAGE)
    wanted = {"only": "SourcelessFileLoader", "zipped.leaf": "zipimporter"}
    for mode in PROBED:
        for name, loader in wanted.items():
            assert found.traced[mode].load(name)["loader"] == loader
