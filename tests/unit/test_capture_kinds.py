"""Every way to import is recorded: with parent, outcome, importer, names and bytecode."""

from __future__ import annotations

import textwrap
import zipfile
from pathlib import Path

import pytest
from capture_support import MODES, PROBED, Run, installing, line_of, run

PACKAGE = {
    "pkg/__init__.py": "import pkg.inner\nvalue = 1\n",
    "pkg/inner.py": "import leaf\n",
    "leaf.py": "",
    "pkg/late.py": "name = 2\n",
    "pkg/other.py": "__all__ = ['one']\none = 1\ntwo = 2\n",
}


def place(result: Run, module: str) -> tuple[str, int, str, str]:
    """(file name, line, statement, importing module) of the one load of ``module``."""
    importer = result.load(module)["importer"]
    return (
        Path(importer["file"]).name,
        importer["line"],
        importer["statement"],
        importer["module"],
    )


@pytest.mark.parametrize("mode", MODES)
def test_plain_imports_have_parent_place_and_origin(mode, tmp_path):
    """File, line, module and statement of the importer; the parent is the load it happened in."""
    result = run(
        tmp_path, "x = 0\nimport pkg\nfrom pkg import late, value\n", mode=mode, files=PACKAGE
    )
    assert place(result.ok(), "pkg") == ("program.py", 3, "import pkg", "__main__")
    assert place(result, "pkg.inner") == ("__init__.py", 1, "import pkg.inner", "pkg")
    assert place(result, "leaf")[:2] == ("inner.py", 1)
    assert result.parent(result.load("pkg.inner")) == "pkg"
    assert result.parent(result.load("pkg")) is None
    late = result.load("pkg.late")
    assert result.parent(late) is None
    assert late["importer"]["statement"] == "from pkg import late, value"
    assert late["names"] == ["late", "value"]
    assert late["origin"] == str(tmp_path / "pkg" / "late.py")
    assert late["loader"] == "SourceFileLoader"
    assert result.load("leaf")["thread"]["name"] == "MainThread"
    assert {one["outcome"] for one in result.records} <= {"ok"}
    assert late["find_ns"] > 0


@pytest.mark.parametrize("mode", MODES)
def test_records_are_ordered_and_ids_are_unique(mode, tmp_path):
    """By begin; a parent begins before its children."""
    result = run(tmp_path, "import pkg, pkg.late\n", mode=mode, files=PACKAGE).ok()
    starts = [one["start_ns"] for one in result.records]
    assert starts == sorted(starts)
    ids = [one["id"] for one in result.records]
    assert len(set(ids)) == len(ids)
    for one in result.records:
        parent = result.by_id(one.get("parent"))
        assert "parent" not in one or parent["start_ns"] <= one["start_ns"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "statement",
    [
        "importlib.import_module('pkg.late')",
        "importlib.import_module('.late', 'pkg')",
        "__import__('pkg.late')",
        "__import__('pkg', fromlist=['late'])",
        "importlib.__import__('pkg.late')",
        "exec('import pkg.late')",
        "from pkg.late import *",
        "from pkg import (\n    late,\n    value as v,\n)",
        "importlib.util.find_spec('pkg.late') and importlib.import_module('pkg.late')",
    ],
)
def test_each_way_to_ask_names_the_asking_line(mode, statement, tmp_path):
    """importlib's own frames are passed over: the line is the program's."""
    result = run(tmp_path, f"import importlib.util\n\n{statement}\n", mode=mode, files=PACKAGE).ok()
    found = result.load("pkg.late")["importer"]
    if "exec" in statement:
        assert found["file"] == "<string>"
        assert found["line"] == 1
    else:
        assert Path(found["file"]).name == "program.py"
        assert found["line"] == 4
    assert found["module"] == "__main__"
    assert len(result.loads("pkg")) == 1


def test_a_star_import_names_its_star(tmp_path):
    """``names`` of ``from x import *``; what __all__ lists is not an import of its own."""
    result = run(tmp_path, "from pkg.other import *\nprint(one)\n", files=PACKAGE).ok()
    assert result.load("pkg.other")["names"] == ["*"]


@pytest.mark.parametrize("mode", PROBED)
def test_an_implied_parent_is_marked_and_is_the_child_s_child(mode, tmp_path):
    """``import pkg.late`` takes pkg.late first, and loads pkg inside of it (until 3.15)."""
    result = run(tmp_path, "import pkg.late\n", mode=mode, files=PACKAGE).ok()
    assert result.load("pkg")["implied"] is True
    assert result.parent(result.load("pkg")) == "pkg.late"
    assert place(result, "pkg")[:2] == ("program.py", 2)
    assert "implied" not in result.load("pkg.late")
    assert "implied" not in result.load("pkg.inner")


@pytest.mark.parametrize("mode", MODES)
def test_a_child_that_its_own_package_loads_is_loaded_once(mode, tmp_path):
    """``import pkg.leaf`` where pkg's body imports pkg.leaf: the statement itself loaded nothing but
    the package; numpy and urllib3 are made that way."""
    files = {"pkg/__init__.py": "from pkg import leaf\n", "pkg/leaf.py": "x = 1\n"}
    result = run(tmp_path, "import pkg.leaf\n", mode=mode, files=files).ok()
    leaf = result.load("pkg.leaf")
    assert result.parent(leaf) == "pkg"
    assert leaf["importer"]["module"] == "pkg"
    assert result.parent(result.load("pkg")) is None


@pytest.mark.parametrize("mode", PROBED)
def test_the_import_of_an_implied_parent_is_not_the_finding_of_the_child(mode, tmp_path):
    """A slow package body counts as the package's, not as the child's search or own time."""
    files = {"slow/__init__.py": "import time; time.sleep(0.3)\n", "slow/leaf.py": ""}
    result = run(tmp_path, "import slow.leaf\n", mode=mode, files=files).ok()
    leaf, package = result.load("slow.leaf"), result.load("slow")
    assert package["exec_ns"] > 290e6
    assert leaf.get("find_ns", 0) < 200e6
    assert leaf["self_ns"] < 200e6


@pytest.mark.parametrize("mode", PROBED)
def test_a_reload_is_a_load_of_its_own(mode, tmp_path):
    """Marked ``reload``, by the line that reloads; what the body imports then is its child."""
    program = """
    import importlib
    import again
    importlib.reload(again)
    """
    files = {"again.py": "try:\n    n += 1\n    import extra\nexcept NameError:\n    n = 1\n",
             "extra.py": ""}  # fmt: skip
    result = run(tmp_path, program, mode=mode, files=files).ok()
    first, second = result.loads("again")
    assert "reload" not in first
    assert second["reload"] is True
    assert second["importer"]["line"] == 4
    assert second["exec_ns"] > 0
    assert result.by_id(result.load("extra")["parent"]) == second


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", ["runpy.run_module('pkg.late', alter_sys=True)",
                                  "runpy.run_module('pkg.inner')"])  # fmt: skip
def test_run_module_records_the_packages_and_the_imports_of_the_body(mode, call, tmp_path):
    """runpy executes the module itself, so that it is no load; all around it is."""
    result = run(tmp_path, f"import runpy\n{call}\n", mode=mode, files=PACKAGE).ok()
    assert "pkg" in result.names
    assert "pkg.inner" in result.names


@pytest.mark.parametrize("mode", MODES)
def test_run_path_records_the_imports_of_the_file(mode, tmp_path):
    """Their importer is the file, under the name that run_path gave it."""
    files = {"task.py": "import leaf\n", "leaf.py": ""}
    result = run(tmp_path, "import runpy\nrunpy.run_path('task.py', run_name='job')\n",
                 mode=mode, files=files).ok()  # fmt: skip
    assert place(result, "leaf") == ("task.py", 1, "import leaf", "job")


@pytest.mark.parametrize("mode", MODES)
def test_run_path_records_a_zip_s_main(mode, tmp_path):
    """A directory or zip with __main__ goes through import machinery; its imports are there."""
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", "import inzip\nprint(inzip.x)\n")
        archive.writestr("inzip.py", "x = 'zipped'\n")
    result = run(tmp_path, "import runpy\nrunpy.run_path('app.zip')\n", mode=mode).ok()
    assert result.out == "zipped\n"
    load = result.load("inzip")
    assert load["loader"] == "zipimporter"
    assert load["origin"].endswith("app.zip/inzip.py")
    assert load["importer"]["line"] == 1


@pytest.mark.parametrize("mode", MODES)
def test_other_kinds_of_modules(mode, tmp_path):
    """Namespace packages, zip, built-in, frozen and extension modules: loader and bytecode."""
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", "")
        archive.writestr("zipped/part.py", "x = 1\n")
    (tmp_path / "space" / "deep").mkdir(parents=True)
    (tmp_path / "space" / "deep" / "leaf.py").write_text("")
    program = """
    import sys
    sys.path.insert(0, "lib.zip")
    import zipped.part
    import space.deep.leaf
    import _symtable, __hello__, _ctypes_test
    import _testbuffer
    """
    result = run(tmp_path, program, mode=mode)
    if "_ctypes_test" in result.err or "_testbuffer" in result.err:
        pytest.skip("this build has no test extension modules")
    result.ok()
    assert result.load("zipped")["loader"] == "zipimporter"
    assert result.load("zipped.part")["bytecode"] in ("unknown", "compiled")
    for name in ("space", "space.deep"):
        assert result.load(name).get("loader", "NamespaceLoader") == "NamespaceLoader"
        assert "origin" not in result.load(name)
    assert result.load("_symtable")["loader"] == "BuiltinImporter"
    assert result.load("_symtable")["origin"] == "built-in"
    assert result.load("__hello__")["loader"] == "FrozenImporter"
    for name in ("_ctypes_test", "_testbuffer"):
        assert result.load(name)["loader"] == "ExtensionFileLoader"
        assert result.load(name)["origin"].endswith(".so")
    for name in ("space", "_symtable", "__hello__", "_testbuffer"):
        assert result.load(name)["bytecode"] == "none"
        assert result.load(name)["outcome"] == "ok"


@pytest.mark.parametrize("mode", PROBED)
def test_bytecode_is_compiled_then_hit_then_compiled_when_stale(mode, tmp_path):
    """From what importlib did, not from what lies in __pycache__."""
    files = {"src_one.py": "x = 1\n"}
    program = "import src_one\n"
    env = {"PYTHONDONTWRITEBYTECODE": ""}
    first = run(tmp_path, program, mode=mode, files=files, env=env).ok()
    second = run(tmp_path, program, mode=mode, env=env).ok()
    (tmp_path / "src_one.py").write_text("x = 1 + 1 + 1\n")
    third = run(tmp_path, program, mode=mode, env=env).ok()
    cached = next((tmp_path / "__pycache__").glob("src_one.*.pyc"))
    (tmp_path / "src_one.py").unlink()
    cached.rename(tmp_path / "src_one.pyc")
    fourth = run(tmp_path, program, mode=mode, env=env).ok()
    told = [one.load("src_one")["bytecode"] for one in (first, second, third, fourth)]
    assert told == ["compiled", "hit", "compiled", "hit"]
    assert fourth.load("src_one")["loader"] == "SourcelessFileLoader"


def test_finder_mode_does_not_invent_bytecode(tmp_path):
    """It cannot see whether the source was compiled: a wrong fact is worse than a missing one."""
    files = {"src_one.py": "x = 1\n"}
    env = {"PYTHONDONTWRITEBYTECODE": ""}
    told = [
        run(tmp_path, "import src_one\n", mode="finder", files=files, env=env)
        .ok()
        .load("src_one")
        .get("bytecode")
        for _ in range(2)
    ]
    assert told[0] in (None, "unknown", "compiled")
    assert told[1] in (None, "unknown", "hit")


@pytest.mark.parametrize("mode", PROBED)
def test_a_lazy_module_is_executed_where_it_is_first_touched(mode, tmp_path):
    """LazyLoader: the import is one record, the body, later and elsewhere, one more."""
    program = """
    import importlib.util, sys
    def lazy(name):
        spec = importlib.util.find_spec(name)
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    module = lazy("slow")
    print("extra" in sys.modules)
    module.x  # touched
    print("extra" in sys.modules)
    """
    files = {"slow.py": "import extra\nx = 1\n", "extra.py": ""}
    result = run(tmp_path, program, mode=mode, files=files).ok()
    assert result.out == "False\nTrue\n"
    slow = result.load("slow")
    assert slow["importer"]["line"] == line_of(tmp_path / "program.py", "# touched")
    assert slow["importer"]["module"] == "__main__"
    assert result.parent(result.load("extra")) == "slow"
    assert slow["outcome"] == "ok"


@pytest.mark.parametrize("mode", MODES)
def test_lazy_modules_are_never_forced(mode, tmp_path):
    """Neither while tracing nor by the snapshot, nor a PEP 562 ``__getattr__``, nor a property."""
    program = """
    import importlib.util, sys, types
    spec = importlib.util.find_spec("slow")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["slow"] = module
    spec.loader.exec_module(module)
    import asks
    import plain
    class Odd(types.ModuleType):
        def __getattribute__(self, name):
            if name not in ("__spec__", "__name__", "__path__"):
                print("odd was asked for", name)
            return super().__getattribute__(name)
    sys.modules["odd"] = Odd("odd")
    try:
        import broken
    except ImportError:
        pass
    session.trace()
    importtrace.explain(ValueError("x"))
    print("forced", "extra" in sys.modules)
    """
    files = {
        "slow.py": "import extra\n",
        "extra.py": "",
        "plain.py": "",
        "asks.py": "def __getattr__(name):\n    if name not in ('__path__', '__spec__'):\n"
        "        print('asks was asked for', name)\n    raise AttributeError(name)\n",
        "broken.py": "from plain import nothing\n",
    }
    result = run(tmp_path, program, mode=mode, files=files).ok()
    assert result.out == "forced False\n"


@pytest.mark.parametrize("mode", PROBED)
def test_a_body_executed_by_hand_is_a_load(mode, tmp_path):
    """spec_from_file_location + exec_module: no lock announces it, and it is the plugins' way."""
    program = """
    import importlib.util, sys
    def load(name, path):
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)  # by hand
        return module
    def outer():
        load("plugin", "plugins/one.py")
        try:
            load("bad", "plugins/two.py")
        except ZeroDivisionError as error:
            print("caught", error)
    outer()
    """
    files = {
        "plugins/one.py": "import helper\n",
        "plugins/two.py": "import helper2\n1 / 0\n",
        "helper.py": "",
        "helper2.py": "",
    }
    result = run(tmp_path, program, mode=mode, files=files).ok()
    assert result.out == "caught division by zero\n"
    plugin, bad = result.load("plugin"), result.load("bad")
    assert plugin["importer"]["line"] == line_of(tmp_path / "program.py", "# by hand")
    assert plugin["origin"].endswith("one.py")
    assert plugin["outcome"] == "ok"
    assert result.parent(result.load("helper")) == "plugin"
    assert bad["outcome"] == "failed"
    assert bad["error"]["type"] == "ZeroDivisionError"
    assert result.parent(result.load("helper2")) == "bad"


@pytest.mark.parametrize("mode", MODES)
def test_imports_in_functions_classes_and_from_c(mode, tmp_path):
    """The importing module is that whose function runs; C code imports for the frame that called."""
    program = """
    import uses
    uses.late()
    import time
    time.strptime("2020", "%Y")  # imports _strptime
    """
    files = {
        "uses.py": """
            class K:
                import inner_class
            def late():
                if True:
                    from inner_function import a, b as c
            """,
        "inner_class.py": "",
        "inner_function.py": "a = b = 1\n",
    }
    result = run(tmp_path, program, mode=mode, files=files).ok()
    assert place(result, "inner_class") == ("uses.py", 2, "import inner_class", "uses")
    assert result.parent(result.load("inner_class")) == "uses"
    function = result.load("inner_function")
    assert function["importer"]["line"] == 5
    assert function["importer"]["module"] == "uses"
    assert result.parent(function) is None
    assert function["names"] == ["a", "b"]
    strptime = result.load("_strptime")
    assert strptime["importer"]["line"] == line_of(tmp_path / "program.py", "# imports _strptime")


@pytest.mark.parametrize("mode", PROBED)
def test_install_in_the_middle_of_a_load_adopts_the_open_loads(mode, tmp_path):
    """outer -> middle -> install(): both are in the trace, in order, and end."""
    files = {
        "outer.py": "import middle.leaf\nimport after_outer\n",
        "middle/__init__.py": "",
        "middle/leaf.py": """
            import importtrace
            session = importtrace.install(mode=MODE, log="off", spans="off", file="trace.jsonl")
            import inside
            """.replace("MODE", repr(mode)),
        "inside.py": "",
        "after_outer.py": "",
    }
    result = run(tmp_path, "import sys\nimport outer\nimport later\n", mode=None,
                 files={**files, "later.py": ""})  # fmt: skip
    result.ok()
    assert result.parent(result.load("inside")) == "middle.leaf"
    assert result.parent(result.load("middle.leaf")) == "outer"
    assert result.parent(result.load("outer")) is None
    assert result.parent(result.load("after_outer")) == "outer"
    assert result.parent(result.load("later")) is None
    for name in ("outer", "middle.leaf"):
        assert result.load(name)["outcome"] == "ok"
        assert result.load(name)["duration_ns"] > 0
        assert "bytecode" not in result.load(name)
        # what came before install() was not observed
        assert "find_ns" not in result.load(name)
        assert "load_ns" not in result.load(name)
    assert "importtrace" not in result.names


@pytest.mark.parametrize("mode", MODES)
def test_nothing_of_ours_is_in_the_trace(mode, tmp_path):
    """Neither our modules nor what they import for their own work (snapshot, causes, delivery)."""
    program = """
    import optional_one
    try:
        import missing_thing
    except ImportError as error:
        importtrace.explain(error)
    session.trace()
    importtrace.explain(KeyError("x"))
    importtrace.mark_ready()
    import after
    """
    files = {
        "optional_one.py": "try:\n    from after2 import nothing\nexcept ImportError:\n    pass\n",
        "after.py": "",
        "after2.py": "",
    }
    result = run(tmp_path, program, mode=mode, files=files).ok()
    assert set(result.names) - {"missing_thing"} == {"optional_one", "after", "after2"}


@pytest.mark.parametrize("mode", MODES)
def test_odd_modules_do_not_disturb_the_record(mode, tmp_path):
    """Bodies that replace themselves, rename themselves, delete what they got, or import themselves."""
    files = {
        "swaps.py": "import sys, leaf_one\nsys.modules[__name__] = object()\n",
        "renames.py": "__name__ = 'somebody'\nimport leaf_two\n",
        "bare.py": "import leaf_three\nfor n in list(globals()):\n    if n != 'n': del globals()[n]\n",
        "selfish.py": "import selfish, selfish as s\nimport leaf_four\n",
        "leaf_one.py": "",
        "leaf_two.py": "",
        "leaf_three.py": "",
        "leaf_four.py": "",
    }
    program = "import swaps\nimport renames\nimport selfish\n" + textwrap.dedent(
        """
        try:
            import bare
        except Exception as error:
            print(type(error).__name__)
        import last
        """
    )
    with_us = run(tmp_path / "a", program, mode=mode, files={**files, "last.py": ""}).ok()
    without = run(tmp_path / "b", program, mode=None, files={**files, "last.py": ""}).ok()
    assert (with_us.out, with_us.err) == (without.out, without.err)
    parents = {n: with_us.parent(with_us.load(f"leaf_{n}")) for n in ("one", "two", "four")}
    assert parents == {"one": "swaps", "two": "renames", "four": "selfish"}
    assert with_us.parent(with_us.load("last")) is None


@pytest.mark.parametrize("mode", MODES)
def test_what_is_reported_loaded_is_what_is_new_in_sys_modules(mode, tmp_path):
    """A big standard start-up: no load is missing, none is invented, none is there twice."""
    program = f"""
    import json, sys
    before = set(sys.modules)
    {installing(mode, tmp_path / "trace.jsonl")}
    import asyncio, http.client, xml.dom.minidom, concurrent.futures, unittest.mock, sqlite3
    import multiprocessing.pool, logging.config
    new = set(sys.modules) - before
    print(json.dumps(sorted(n for n in new if not n.startswith("importtrace"))))
    """
    result = run(tmp_path, program, mode=None)
    new = set(result.data)
    names = [one["module"] for one in result.records
             if one["kind"] == "load" and one.get("outcome") == "ok"]  # fmt: skip
    assert len(set(names)) == len(names)
    # put there by hand, by pyexpat's C code, xml.parsers.expat and multiprocessing
    by_hand = {"xml.parsers.expat.model", "xml.parsers.expat.errors",
               "pyexpat.errors", "pyexpat.model", "collections.abc", "__mp_main__", "typing.io", "typing.re",
               "importlib._bootstrap", "importlib._bootstrap_external"}  # fmt: skip
    by_hand.add("atexit")  # by install() itself, which may load built-in modules
    assert new - set(names) - by_hand == set()
    assert set(names) - new == set()
