"""`ready_at`: the user says where the start-up ends. Each program in an interpreter of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import importtrace
from importtrace.config import resolve
from importtrace.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

SRC = str(Path(importtrace.__file__).parents[1])
SERVICE = """
    import functools

    class Base:
        def inherited(self):
            return "inherited"

    class Service(Base):
        def run(self, answer):
            import sys
            names, frame = [], sys._getframe()
            while frame is not None:
                names.append(frame.f_code.co_name)
                frame = frame.f_back
            return answer, names

        @classmethod
        def make(cls):
            return cls()

        @staticmethod
        def name():
            return "name"

        def fail(self):
            raise LookupError("no database")

        async def start(self):
            return "started"

    def main(answer):
        return answer

    async def serve():
        raise LookupError("no port")

    SETTING = 3
"""


def run(
    folder: Path, program: str, env: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    (folder / "service.py").write_text(textwrap.dedent(SERVICE))
    kept = {name: value for name, value in os.environ.items() if "IMPORTTRACE" not in name}
    kept |= {"PYTHONPATH": SRC, "IMPORTTRACE_LOG": "off", **(env or {})}
    (folder / "program.py").write_text(textwrap.dedent(program))
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


CALLS = {
    "service:main": "assert service.main(1) == 1",
    "service:main:returned": "assert service.main(1) == 1",
    "service:Service.run": "assert service.Service().run(2)[0] == 2",
    "service:Service.run:returned": "assert service.Service().run(2)[0] == 2",
    "service:Service.make": "assert type(service.Service.make()) is service.Service",
    "service:Service.name:returned": "assert service.Service.name() == 'name'",
    "service:Service.inherited": "assert service.Service().inherited() == 'inherited'",
    "service:Service.start:returned": "assert asyncio.run(service.Service().start()) == 'started'",
}


def test_the_start_up_ends_where_the_user_says(tmp_path: Path) -> None:
    """A point is followed before its module is loaded; the result is the function's own; nothing stays."""
    done = run(
        tmp_path,
        f"""
        import asyncio, importtrace, json, sys
        found = {{}}
        for point, call in {CALLS!r}.items():
            sys.modules.pop("service", None)
            session = importtrace.install(ready_at=point)
            import service
            before = session.trace().header.get("ready_by")
            exec(call)
            left = [name for owner in (service, service.Service) for name in vars(owner)
                    if "importtrace" in type(vars(owner)[name]).__module__
                    or "ReadyPoint" in type(vars(owner)[name]).__name__]
            found[point] = [before, session.trace().header.get("ready_by"), left]
            session.uninstall()
        print(json.dumps(found))
        """,
    )
    assert json.loads(done.stdout) == {point: [None, point, []] for point in CALLS}


def test_a_module_alone_is_reached_when_it_is_loaded(tmp_path: Path) -> None:
    """Without a function no wrapping, and no wrapt."""
    done = run(
        tmp_path,
        """
        import importtrace, sys
        session = importtrace.install(ready_at=["elsewhere", "service"])
        import json
        print(session.trace().header.get("ready_by"))
        import service
        header = session.trace().header
        print(header["ready_by"], header["ready_points"], "wrapt" in sys.modules)
        """,
    )
    points = {"elsewhere": "waiting for the load of elsewhere", "service": "reached"}
    assert done.stdout == f"None\nservice {points} False\n"


FAILING = {
    "service:Service.fail:returned": "service.Service().fail()",
    "service:serve:returned": "asyncio.run(service.serve())",
    "service:Service.fail": "service.Service().fail()",
    "service:serve": "asyncio.run(service.serve())",
}


def test_a_call_that_fails_looks_as_without_us(tmp_path: Path) -> None:
    """The traceback has no frame of ours; what raised has not returned, though it was called."""
    program = f"""
        import asyncio, importtrace, os, sys, traceback
        for point, call in {FAILING!r}.items():
            sys.modules.pop("service", None)
            session = importtrace.install(ready_at=point if "POINTS" in os.environ else ())
            import service
            try:
                exec(call)
            except LookupError:
                traceback.print_exc()
            print(session.trace().header.get("ready_by"))
            session.uninstall()
        """
    without = run(tmp_path, program)
    done = run(tmp_path, program, {"POINTS": "1"})
    assert done.stderr == without.stderr != ""
    assert done.stdout.split() == ["None", "None", "service:Service.fail", "service:serve"]


def test_no_frame_of_ours_is_on_the_stack_of_a_main_loop(tmp_path: Path) -> None:
    """The function that is followed sees the callers that it has without us."""
    program = """
        import importtrace, os
        session = importtrace.install(ready_at=os.environ.get("POINT"))
        import service
        print(service.Service().run(1)[1])
        """
    done = run(tmp_path, program, {"POINT": "service:Service.run"})
    assert done.stdout == run(tmp_path, program).stdout == "['run', '<module>']\n"


def test_wrapt_is_imported_when_the_method_is_looked_up_and_hides_nothing(tmp_path: Path) -> None:
    """What wrapt needs is still the program's to import, and is in the trace as the program's."""
    done = run(
        tmp_path,
        """
        import importtrace, sys
        session = importtrace.install(ready_at="service:Service.run")
        import service
        print("wrapt" in sys.modules, "asyncio" in sys.modules)
        import asyncio
        service.Service().run(1)
        print("wrapt" in sys.modules)
        modules = [r.module for r in session.trace().records]
        print("asyncio" in modules, "wrapt" in modules)
        """,
    )
    assert done.stdout == "False False\nTrue\nTrue False\n"


def test_uninstall_puts_the_function_itself_back(tmp_path: Path) -> None:
    """Looked up or not, by identity; a wrapper that somebody kept marks nothing any more."""
    done = run(
        tmp_path,
        """
        import service
        functions = service.main, vars(service.Service)["run"], service.Base.inherited
        import importtrace
        points = "service:main,service:Service.run,service:Service.inherited"
        session = importtrace.install(ready_at=points)
        print(service.main is functions[0], vars(service.Service)["run"] is functions[1])
        kept = service.Service().run
        session.uninstall()
        print(service.main is functions[0], vars(service.Service)["run"] is functions[1],
              "inherited" in vars(service.Service))
        kept(1)
        print(session.trace().header.get("ready_by"))
        """,
    )
    assert done.stdout == "False False\nTrue True False\nNone\n"


def test_what_somebody_put_around_ours_since_stays(tmp_path: Path) -> None:
    """Another tool's wrapper is not removed with ours, and ours inside it still tells."""
    done = run(
        tmp_path,
        """
        import importtrace
        session = importtrace.install(ready_at="service:Service.run")
        import service
        ours = service.Service.run
        def theirs(self, answer):
            return ours(self, answer)
        service.Service.run = theirs
        print(service.Service().run(5)[0], session.trace().header["ready_by"])
        session.uninstall()
        print(vars(service.Service)["run"] is theirs, service.Service().run(6)[0])
        """,
    )
    assert done.stdout == "5 service:Service.run\nTrue 6\n"


def test_a_followed_function_can_be_pickled_and_copied(tmp_path: Path) -> None:
    """A process pool pickles the function that it is to run, and a bound method of an object."""
    done = run(
        tmp_path,
        """
        import copy, importtrace, inspect, pickle
        importtrace.install(ready_at="service:main,service:Service.run,service:Service.name")
        import service
        for function in (service.main, service.Service.name, service.Service.run):
            assert pickle.loads(pickle.dumps(function)) == function, function
            assert copy.deepcopy(function) == function
        method = pickle.loads(pickle.dumps(service.Service().run))
        print(method(7)[0], inspect.signature(service.main), inspect.isfunction(service.main))
        """,
    )
    assert done.stdout == "7 (answer) True\n"


NOT_THERE = {
    "service:nothing": "service has no nothing",
    "service:Service.nothing": "Service has no nothing",
    "service:Nothing.run": "service has no Nothing",
    "service:Service": "Service is a class; name a method of it, such as Service.__init__",
    "service:SETTING": "SETTING is not a function",
}


def test_points_that_do_not_exist_are_said_in_a_line_each(tmp_path: Path) -> None:
    """On stderr and in the header; the program goes on."""
    program = """
        import importtrace, json
        session = importtrace.install()
        import service
        print(json.dumps(session.trace().header["ready_points"]))
        """
    done = run(tmp_path, program, {"IMPORTTRACE_READY_AT": ",".join(NOT_THERE)})
    lines = [
        f"importtrace: cannot tell when {point} is reached: {why}; the trace is delivered at exit"
        for point, why in NOT_THERE.items()
    ]
    assert done.stderr.splitlines() == lines
    points = json.loads(done.stdout)
    assert list(points) == list(NOT_THERE)
    assert all(why in points[point] for point, why in NOT_THERE.items())


def test_without_wrapt_a_function_is_the_programs_own(tmp_path: Path) -> None:
    """No wrapt anywhere: the method works, and one line says why there is no ready mark."""
    alone = tmp_path / "alone"  # installed, wrapt lies beside us
    shutil.copytree(Path(SRC) / "importtrace", alone / "importtrace")
    done = run(
        tmp_path,
        """
        import sys
        class Hide:
            def find_spec(self, name, path=None, target=None):
                if name == "wrapt":
                    raise ModuleNotFoundError("No module named 'wrapt'", name=name)
        sys.meta_path.insert(0, Hide())
        import importtrace
        session = importtrace.install(ready_at="service:Service.run")
        import service
        print(service.Service().run(1)[0], "ready_by" in session.trace().header)
        """,
        {"PYTHONPATH": str(alone)},
    )
    assert done.stdout == "1 False\n"
    assert done.stderr.startswith("importtrace: cannot tell when service:Service.run is reached: ")
    assert done.stderr.count("\n") == 1


def test_wrapt_beside_importtrace_is_used_and_stays_out_of_the_programs_sight(
    tmp_path: Path,
) -> None:
    """A folder with importtrace and wrapt, injected into a program that has neither."""
    import wrapt

    folder = tmp_path / "injected"
    folder.mkdir()
    (folder / "importtrace").symlink_to(Path(importtrace.__file__).parent)
    (folder / "wrapt").symlink_to(Path(wrapt.__file__).parent)
    (tmp_path / "service.py").write_text(textwrap.dedent(SERVICE))
    program = """
        import sys
        sys.path.insert(0, sys.argv[1])
        import importtrace
        session = importtrace.install(log="off", ready_at="service:Service.run")
        del sys.path[0]
        sys.path_importer_cache.clear()
        import service
        print(service.Service().run(1)[0], session.trace().header["ready_by"])
        try:
            import wrapt
        except ModuleNotFoundError as error:
            print(error)
        """
    (tmp_path / "program.py").write_text(textwrap.dedent(program))
    plain = [sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, '.'); "]
    plain[-1] += "sys.argv = sys.argv[1:]; exec(open('program.py').read())"
    done = subprocess.run(
        [*plain, "program.py", str(folder)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout == "1 service:Service.run\nNo module named 'wrapt'\n"


def test_a_failed_load_that_is_tried_again_is_still_followed(tmp_path: Path) -> None:
    """The first load fails, the second succeeds: its function is followed."""
    done = run(
        tmp_path,
        """
        import importtrace, sys
        session = importtrace.install(ready_at="fragile:main")
        open("fragile.py", "w").write("import builtins\\nbuiltins.ready\\ndef main(): pass\\n")
        try:
            import fragile
        except AttributeError:
            import builtins
            builtins.ready = True
        import fragile
        fragile.main()
        print(session.trace().header["ready_by"])
        """,
    )
    assert done.stdout == "fragile:main\n"


@pytest.mark.parametrize(
    ("value", "points"),
    [
        ("a.b", ("a.b",)),
        (" a.b:c.d:returned, e:f ,", ("a.b:c.d:returned", "e:f")),
        ("", ()),
        (["a:b"], ("a:b",)),
    ],
)
def test_what_can_be_said(value: object, points: tuple[str, ...]) -> None:
    """Module, function, end of the function; several with commas or in a list."""
    assert resolve({"ready_at": value}, {}).ready_at == points


@pytest.mark.parametrize(
    "value", ["a:", "a b", "a:b:returns", "a:b:c:d", "a.:b", 3, "__main__:main"]
)
def test_what_means_nothing_is_refused(value: object) -> None:
    """As an argument it raises and names the form, or what to do instead."""
    with pytest.raises(ConfigError, match=r"MODULE:FUNCTION:returned|mark_ready|comma-separated"):
        resolve({"ready_at": value}, {})
