"""Mode `finder`: what it records without the module locks, and what it leaves as it was."""

from __future__ import annotations

import pytest
from capture_support import run


def test_a_load_has_begin_end_and_parent(tmp_path):
    """The duration is that of the search and of the body; a child's is within its parent's."""
    files = {"outer.py": "import time, inner\ntime.sleep(0.1)\n", "inner.py": ""}
    result = run(tmp_path, "import outer\n", mode="finder", files=files).ok()
    outer, inner = result.load("outer"), result.load("inner")
    assert result.parent(inner) == "outer"
    assert outer["duration_ns"] >= 100e6
    assert outer["self_ns"] == outer["duration_ns"] - sum(
        one["duration_ns"] for one in result.records if result.parent(one) == "outer"
    )
    begin, end = inner["start_ns"], inner["start_ns"] + inner["duration_ns"]
    assert outer["start_ns"] < begin < end < outer["start_ns"] + outer["duration_ns"]
    assert 0 < inner["find_ns"] < inner["duration_ns"]
    assert "exec_ns" not in inner
    assert inner["loader"] == "SourceFileLoader"
    assert outer["importer"]["line"] == 2


def test_a_body_that_fails_is_recorded_with_its_error_and_cause(tmp_path):
    """The exception is seen in flight, so the note is on it when the program catches it."""
    files = {"bad.py": "import worse\n", "worse.py": "int('ten')\n"}
    program = """
    try:
        import bad
    except ValueError as error:
        print(error.__notes__[0].splitlines()[0])
    """
    result = run(tmp_path, program, mode="finder", files=files).ok()
    assert result.out == "importtrace: the module's body raised [body_raised]\n"
    worse = result.load("worse")
    assert worse["outcome"] == result.load("bad")["outcome"] == "failed"
    assert worse["error"] == {
        "type": "ValueError",
        "message": "invalid literal for int() with base 10: 'ten'",
    }
    assert worse["cause"]["root"]["line"] == 1


def test_a_failure_being_handled_is_not_that_of_the_imports_of_its_handler(tmp_path):
    """An import in an `except` block ends well, though an exception is being handled."""
    program = """
    try:
        import bad
    except ZeroDivisionError:
        import good
    """
    files = {"bad.py": "1 / 0\n", "good.py": "import leaf\n", "leaf.py": ""}
    result = run(tmp_path, program, mode="finder", files=files).ok()
    outcomes = {one["module"]: one["outcome"] for one in result.records}
    assert outcomes == {"bad": "failed", "good": "ok", "leaf": "ok"}


def test_a_search_that_finds_nothing_is_no_record_and_nobody_s_parent(tmp_path):
    """Optional imports leave no mark, and what is imported next has its own parent."""
    files = {
        "outer.py": "try:\n    import absent.one\nexcept ImportError:\n    pass\nimport after\n",
        "after.py": "",
    }
    program = "import outer\ntry:\n    from outer import absent\nexcept ImportError:\n    pass\n"
    result = run(tmp_path, program + "import last\n", mode="finder", files={**files, "last.py": ""})
    assert result.ok().names == ["outer", "after", "last"]
    assert result.parent(result.load("after")) == "outer"
    assert result.parent(result.load("last")) is None
    assert "searches that found nothing" in result.header["not_observed"]


def test_what_a_finder_imports_belongs_to_the_search(tmp_path):
    """A finder that imports while it is asked: the import is a child of what was searched for."""
    program = """
    import sys
    from importlib.machinery import PathFinder
    class Importing:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "wanted":
                import helper
                return PathFinder.find_spec(name, path, target)
    sys.meta_path.append(Importing)
    sys.meta_path.insert(1, sys.meta_path.pop())
    import wanted
    """
    files = {"wanted.py": "import below\n", "helper.py": "", "below.py": ""}
    result = run(tmp_path, program, mode="finder", files=files).ok()
    assert result.parent(result.load("helper")) == "wanted"
    assert result.parent(result.load("below")) == "wanted"


def test_a_finder_in_front_of_ours_hides_the_search_not_the_load(tmp_path):
    """Whoever answers, importlib runs the body: begin and parent are seen, the time of the search is not."""
    program = """
    import sys
    from importlib.machinery import PathFinder
    sys.meta_path.insert(0, PathFinder)
    import outer
    """
    files = {"outer.py": "import inner\n", "inner.py": ""}
    result = run(tmp_path, program, mode="finder", files=files).ok()
    assert result.parent(result.load("inner")) == "outer"
    assert result.load("inner")["importer"]["line"] == 1
    assert result.load("inner")["outcome"] == "ok"
    assert result.load("inner").get("find_ns", 0) == 0


def test_threads_are_followed(tmp_path):
    """The first import of a thread that a body starts belongs to that body's load."""
    files = {
        "starts.py": """
            import threading
            thread = threading.Thread(target=__import__, args=("in_thread",), name="warm")
            thread.start()
            thread.join(20)
            """,
        "in_thread.py": "",
    }
    result = run(tmp_path, "import starts\n", mode="finder", files=files).ok()
    load = result.load("in_thread")
    assert result.parent(load) == "starts"
    assert load["thread"]["name"] == "warm"


def test_ready_points_are_followed(tmp_path):
    """The load of a server's module patches it, as in the other modes."""
    files = {"uvicorn/__init__.py": "", "uvicorn/server.py": "class Server: pass\n"}
    result = run(tmp_path, "import uvicorn.server\n", mode="finder", files=files).ok()
    assert "uvicorn.server" in result.header["ready_points"]


def test_installed_in_a_body_it_follows_what_is_open(tmp_path):
    """Loads that this thread has open begin with the trace, and end when they end."""
    program = """
    import outer
    trace = outer.session.trace()
    found = {one.module: one for one in trace.records}
    print(found["inner"].parent == found["outer"].id, found["outer"].duration_ns > 0,
          found["outer"].importer)
    """
    files = {
        "outer.py": "import importtrace\n"
        "session = importtrace.install(mode='finder', log='off', spans='off')\nimport inner\n",
        "inner.py": "",
    }
    assert run(tmp_path, program, mode=None, files=files).ok().out == "True True None\n"


def test_specs_keep_their_flag_and_the_class_gets_its_own_back(tmp_path):
    """`_initializing` is in each spec's dict as before, and no attribute of the class afterwards."""
    program = """
    import sys, inner
    from importlib.machinery import ModuleSpec
    print(vars(inner.__spec__)["_initializing"], inner.seen, bool(sys.__spec__._initializing))
    session.uninstall()
    print("_initializing" in vars(ModuleSpec), inner.__spec__._initializing)
    """
    files = {"inner.py": "seen = __spec__._initializing, vars(__spec__)['_initializing']\n"}
    result = run(tmp_path, program, mode="finder", files=files).ok()
    assert result.out == "False (True, True) False\nFalse False\n"


@pytest.mark.parametrize("module", ["sys", "builtins", "inner"])
def test_an_import_of_a_finished_module_runs_no_code_of_ours(module, tmp_path):
    """Also of those that were there before importlib was, whose specs have no flag of their own."""
    program = f"""
    import sys, inner
    calls = []
    def body():
        import {module}
    sys.setprofile(lambda frame, event, arg: calls.append(frame.f_code.co_filename))
    body()
    sys.setprofile(None)
    print([name for name in calls if "importtrace" in name])
    """
    result = run(tmp_path, program, mode="finder", files={"inner.py": ""}).ok()
    assert result.out == "[]\n"


def test_what_needs_more_than_this_mode_sees_stays_unexplained(tmp_path):
    """A name is missing because a search failed and was caught: not seen, so not told as another cause."""
    files = {
        "compat.py": "try:\n    from absent_codec import dumps\nexcept ImportError:\n    pass\n"
    }
    program = """
    try:
        from compat import dumps
    except ImportError as error:
        cause = session.explain(error)
        print(cause and cause.kind, getattr(error, "__notes__", []))
    """
    assert run(tmp_path, program, mode="finder", files=files).ok().out == "None []\n"


def test_a_spec_whose_dict_is_the_program_s(tmp_path):
    """The flag is stored as a plain attribute would be: past what a subclass makes of `__dict__`."""
    program = """
    import sys
    from importlib.machinery import ModuleSpec, PathFinder
    class Spec(ModuleSpec):
        @property
        def __dict__(self): raise ValueError("__dict__ was read")
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "inner":
                found = PathFinder.find_spec(name, path)
                return Spec(name, found.loader, origin=found.origin)
    sys.meta_path.insert(0, Finder())
    import inner
    print(inner.seen, inner.__spec__._initializing)
    """
    files = {"inner.py": "seen = __spec__._initializing\n"}
    result = run(tmp_path, program, mode="finder", files=files).ok()
    assert (result.out, result.err) == ("True False\n", "")
    assert result.load("inner")["outcome"] == "ok"
