"""Failures, sums of times, hand-outs in one thread, and what happens when the memory is full."""

from __future__ import annotations

import json
import textwrap

import pytest
from capture_support import MODES, PROBED, Run, run


def failed(result: Run) -> dict[str, dict[str, object]]:
    return {one["module"]: one for one in result.records if one.get("outcome") == "failed"}


@pytest.mark.parametrize("mode", PROBED)
def test_a_failing_body_fails_each_enclosing_load(mode, tmp_path):
    """One exception object, one cause: the outer loads fail with it, unhandled at exit."""
    files = {"a.py": "import b\n", "b.py": "import c\n", "c.py": "{}['gone']\n"}
    result = run(tmp_path, "import a\n", mode=mode, files=files)
    assert result.code == 1
    found = failed(result)
    assert set(found) == {"a", "b", "c"}
    for one in found.values():
        assert one["error"] == {"type": "KeyError", "message": "'gone'"}
        assert one["handled"] is False
        assert one["duration_ns"] > 0
    assert ["cause" in found[name] for name in "abc"] == [False, False, True]


@pytest.mark.parametrize("mode", PROBED)
def test_what_an_enclosing_body_catches_is_handled(mode, tmp_path):
    """The loads between failed too; the one that caught it did not."""
    files = {
        "a.py": "try:\n    import b\nexcept ImportError:\n    b = None\n",
        "b.py": "import nowhere_at_all\n",
        "c.py": "try:\n    import d\nexcept ValueError:\n    pass\n",
        "d.py": "raise ValueError('no')\n",
    }
    result = run(tmp_path, "import a\nimport c\n", mode=mode, files=files).ok()
    found = failed(result)
    assert set(found) == {"b", "nowhere_at_all", "d"}
    assert {one["handled"] for one in found.values()} == {True}
    assert found["nowhere_at_all"]["error"]["type"] == "ModuleNotFoundError"
    assert result.load("a")["outcome"] == "ok"
    assert result.err == ""


@pytest.mark.parametrize("mode", PROBED)
def test_the_last_failure_of_a_thread_is_not_handled_before_ready(mode, tmp_path):
    """Caught by the entry script: earlier ones were survived, the last may be why it ended."""
    program = """
    for name in ("gone_one", "gone_two"):
        try:
            __import__(name)
        except ImportError:
            pass
    """
    result = run(tmp_path / "a", program, mode=mode).ok()
    assert result.load("gone_one")["handled"] is True
    assert result.load("gone_two")["handled"] is False
    ready = textwrap.dedent(program) + "importtrace.mark_ready()\n"
    result = run(tmp_path / "b", ready, mode=mode).ok()
    assert result.load("gone_two")["handled"] is True
    assert result.header["ready_by"] == "explicit"


@pytest.mark.parametrize("mode", PROBED)
def test_the_swallowed_try_of_a_from_list_is_no_record(mode, tmp_path):
    """``from pkg import missing``: importlib looks for pkg.missing and swallows that it is not there."""
    files = {
        "pkg/__init__.py": "def __getattr__(name):\n    if name == 'made': return 1\n"
        "    raise AttributeError(name)\n",
        "pkg/real.py": "",
    }
    program = """
    from pkg import real, made
    try:
        from pkg import missing
    except ImportError as error:
        print(error.name, type(error).__name__)
    """
    result = run(tmp_path, program, mode=mode, files=files).ok()
    assert result.out == "pkg ImportError\n"
    assert set(result.names) == {"pkg", "pkg.real"}
    assert not failed(result)
    assert result.header["dropped"] == 0


@pytest.mark.parametrize("mode", PROBED)
def test_a_submodule_that_exists_and_fails_is_a_record(mode, tmp_path):
    """Of a ``from`` list, too: this failure is not swallowed."""
    files = {"pkg/__init__.py": "", "pkg/sub.py": "import nowhere_at_all\n"}
    result = run(tmp_path, "from pkg import sub\n", mode=mode, files=files)
    assert set(failed(result)) == {"pkg.sub", "nowhere_at_all"}
    assert "ModuleNotFoundError: No module named 'nowhere_at_all'" in result.err


@pytest.mark.parametrize("mode", PROBED)
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("def f(:\n", "SyntaxError"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt"),
        ("import sys; sys.exit('bye')\n", "SystemExit"),
        ("class E(Exception): pass\nraise E('x')\n", "bad.E"),
        ("import nowhere.at.all\n", "ModuleNotFoundError"),
    ],
)
def test_whatever_leaves_a_body_is_its_failure(mode, body, kind, tmp_path):
    """By type; the program sees the same exception, exit code and output as without us."""
    files = {"bad.py": body, "ok.py": ""}
    program = "import ok\nimport bad\n"
    result = run(tmp_path / "a", program, mode=mode, files=files)
    plain = run(tmp_path / "b", program, mode=None, files=files)
    assert result.code == plain.code != 0
    assert failed(result)["bad"]["error"]["type"] == kind


@pytest.mark.parametrize("mode", PROBED)
def test_a_retry_that_succeeds_is_a_load_of_its_own(mode, tmp_path):
    """First failed, then ok; each with its own times."""
    files = {"flaky.py": "import sys\nsys.n = getattr(sys, 'n', 0) + 1\nif sys.n == 1: 1 / 0\n"}
    program = """
    try:
        import flaky
    except ZeroDivisionError:
        import flaky
    """
    first, second = run(tmp_path, program, mode=mode, files=files).ok().loads("flaky")
    assert first["outcome"] == "failed"
    assert second["outcome"] == "ok"
    assert first["start_ns"] + first["duration_ns"] <= second["start_ns"]


@pytest.mark.parametrize("mode", PROBED)
def test_an_import_inside_an_except_block_is_not_failed_by_it(mode, tmp_path):
    """The exception being handled when a load begins is not the load's own."""
    files = {"plan_b.py": "import leaf\n", "leaf.py": "", "fin.py": ""}
    program = """
    try:
        try:
            raise ImportError("first")
        except ImportError:
            import plan_b
            raise
        finally:
            import fin
    except ImportError:
        pass
    """
    result = run(tmp_path, program, mode=mode, files=files).ok()
    assert not failed(result)
    assert {one["outcome"] for one in result.records} == {"ok"}


@pytest.mark.parametrize("mode", PROBED)
def test_the_same_exception_raised_again_by_a_body_is_its_failure(mode, tmp_path):
    """A body that re-raises what its importer was handling has failed with it."""
    files = {"again.py": "import sys\nraise sys.exception()\n"}
    program = """
    try:
        raise LookupError("x")
    except LookupError:
        try:
            import again
        except LookupError:
            print("caught")
    """
    result = run(tmp_path, program, mode=mode, files=files).ok()
    assert result.out == "caught\n"
    assert result.load("again")["outcome"] == "failed"


@pytest.mark.parametrize("mode", PROBED)
def test_a_harmless_request_is_only_counted(mode, tmp_path):
    """A package's own children ask for it while it is being built: no hand-out."""
    files = {
        "pkg/__init__.py": "from pkg import one, two\nimport pkg.one\nimport pkg\n",
        "pkg/one.py": "import pkg\nfrom . import two\n",
        "pkg/two.py": "import pkg.one, pkg\n",
    }
    result = run(tmp_path, "import pkg\n", mode=mode, files=files).ok()
    pkg_requests = result.all("request", "pkg")
    assert pkg_requests == []
    assert result.load("pkg")["harmless_requests"] >= 3


@pytest.mark.parametrize("mode", PROBED)
def test_a_hand_out_to_another_module_is_recorded(mode, tmp_path):
    """first -> second -> first: who, where, of which load, and that it went well."""
    files = {
        "first.py": "early = 1\nimport second\nlate = 2\n",
        "second.py": "x = 1\n\nfrom first import early\n",
    }
    result = run(tmp_path, "import first\n", mode=mode, files=files).ok()
    request = result.request("first")
    assert request["outcome"] == "partial"
    assert request["of"] == result.load("first")["id"]
    assert result.parent(request) == "second"
    assert request["importer"]["line"] == 3
    assert request["importer"]["statement"] == "from first import early"
    assert request["names"] == ["early"]
    assert "wait_ns" not in request
    assert result.load("first")["outcome"] == "ok"


@pytest.mark.parametrize("mode", PROBED)
def test_a_hand_out_that_kills_is_failed(mode, tmp_path):
    """Precedence failed > partial; the request carries the cause where no load stands for it."""
    files = {
        "first.py": "import second\nlate = 2\n",
        "second.py": "from first import late\n",
    }
    result = run(tmp_path, "import first\n", mode=mode, files=files)
    assert result.code == 1
    causes = [one["cause"] for one in result.records if "cause" in one]
    assert [cause["kind"] for cause in causes] == ["circular"]
    assert result.request("first")["of"] == result.load("first")["id"]
    assert result.load("second")["outcome"] == "failed"


@pytest.mark.parametrize("mode", PROBED)
def test_times_add_up(mode, tmp_path):
    """find + load + exec fit into the duration; self times sum to the thread's total within 1 %."""
    program = """
    import asyncio, http.client, xml.dom.minidom, unittest.mock, sqlite3, email.mime.text
    import decimal, ctypes.util, logging.handlers, urllib.request
    """
    result = run(tmp_path, program, mode=mode).ok()
    loads = [one for one in result.records if one["kind"] == "load"]
    assert len(loads) > 100
    own = total = 0
    for one in loads:
        duration = one["duration_ns"]
        assert one.get("self_ns", 0) >= 0
        assert one["self_ns"] <= duration
        for key in ("find_ns", "load_ns", "exec_ns"):
            assert 0 <= one.get(key, 0) <= duration
        parts = sum(one.get(key, 0) for key in ("find_ns", "load_ns", "exec_ns"))
        assert parts <= duration
        own += one["self_ns"]
        total += duration if "parent" not in one else 0
        parent = result.by_id(one.get("parent"))
        if parent is not None:
            assert parent["start_ns"] <= one["start_ns"]
            end = one["start_ns"] + duration
            assert end <= parent["start_ns"] + parent["duration_ns"]
    assert abs(own - total) <= total * 0.01
    executed = [one for one in loads if one.get("loader") == "SourceFileLoader"
                and one["outcome"] == "ok"]  # fmt: skip
    assert all(one["exec_ns"] > 0 and one["find_ns"] > 0 for one in executed)


@pytest.mark.parametrize("mode", PROBED)
def test_time_is_told_where_it_was_spent(mode, tmp_path):
    """A slow finder is ``find_ns``, a slow loader ``load_ns``, a slow body ``exec_ns``."""
    program = """
    import sys, time
    from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
    class SlowLoader(SourceFileLoader):
        def create_module(self, spec):
            time.sleep(0.1)
        def get_code(self, name):
            time.sleep(0.1)
            return super().get_code(name)
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "slow_find":
                time.sleep(0.2)
            if name == "slow_load":
                spec = PathFinder.find_spec(name, path, target)
                spec.loader = SlowLoader(name, spec.origin)
                return spec
            return None
    sys.meta_path.insert(1 if session else 0, Finder)
    import slow_find, slow_load, slow_body
    """
    files = {
        "slow_find.py": "",
        "slow_load.py": "",
        "slow_body.py": "import time; time.sleep(0.2)\n",
    }
    result = run(tmp_path, program, mode=mode, files=files).ok()
    spent = {
        name: {key: round(result.load(name).get(key, 0) / 1e9, 1) for key in
               ("find_ns", "load_ns", "exec_ns")}
        for name in ("slow_find", "slow_load", "slow_body")
    }  # fmt: skip
    assert spent["slow_body"] == {"find_ns": 0, "load_ns": 0, "exec_ns": 0.2}
    assert spent["slow_find"] == {"find_ns": 0.2, "load_ns": 0, "exec_ns": 0}
    # create_module ends where the module was made; reading its code comes after
    assert spent["slow_load"]["exec_ns"] == 0
    assert spent["slow_load"]["load_ns"] >= 0.1
    assert sum(spent["slow_load"].values()) == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("mode", PROBED)
def test_the_memory_is_bounded_and_what_was_dropped_is_counted(mode, tmp_path):
    """Exactly: kept and dropped make all; failures and hand-outs live on the reserve."""
    files = {f"m{number}.py": "" for number in range(300)}
    files["bad.py"] = "import inner_bad\n"
    files["inner_bad.py"] = "1 / 0\n"
    files["x1.py"] = "import x2\n"
    files["x2.py"] = "import x1\n"
    files["deep.py"] = "import deep2\n"
    files["deep2.py"] = "import bad2\n"
    files["bad2.py"] = "1 / 0\n"
    program = """
    for number in range(300):
        __import__(f"m{number}")
    try:
        import bad
    except ZeroDivisionError:
        pass
    import x1
    try:
        import deep
    except ZeroDivisionError:
        pass
    """
    small = run(tmp_path / "a", program, mode=mode, files=files, max_records=200).ok()
    whole = run(tmp_path / "b", program, mode=mode, files=files).ok()
    assert whole.header["dropped"] == 0
    kept, dropped = len(small.records), small.header["dropped"]
    assert dropped > 100
    assert kept <= 200
    assert kept + dropped == len(whole.records)
    assert {one["module"] for one in small.records if one.get("outcome") == "failed"} == {
        "bad", "inner_bad", "deep", "deep2", "bad2",
    }  # fmt: skip
    assert small.request("x1")["outcome"] == "partial"
    ids = [one["id"] for one in small.records]
    assert len(set(ids)) == len(ids)
    for one in small.records:
        for key in ("parent", "of"):
            if key in one:
                assert one[key] in ids
    inner = small.load("inner_bad")
    assert small.parent(inner) == "bad"


@pytest.mark.parametrize("mode", PROBED)
def test_swallowed_tries_do_not_fill_the_memory_nor_the_count(mode, tmp_path):
    """``from pkg import name`` of 400 names that are no modules: nothing kept, nothing dropped."""
    names = "".join(f"n{number} = {number}\n" for number in range(1))
    files = {"pkg/__init__.py": names, "last.py": "", "m.py": ""}
    program = """
    for number in range(400):
        try:
            exec(f"from pkg import missing{number}")
        except ImportError:
            pass
    import last
    """
    result = run(tmp_path, program, mode=mode, files=files, max_records=100).ok()
    assert result.header["dropped"] == 0
    assert result.names == ["pkg", "last"]


@pytest.mark.parametrize("mode", MODES)
def test_parents_stay_right_when_the_middle_was_dropped(mode, tmp_path):
    """A kept record's parent is its nearest kept ancestor; loads go on being followed."""
    files = {f"fill{number}.py": "" for number in range(200)}
    files |= {"top.py": "import mid\n", "mid.py": "import low\n", "low.py": "import gone_away\n"}
    program = """
    for number in range(200):
        __import__(f"fill{number}")
    try:
        import top
    except ImportError as error:
        print(error.name)
    """
    result = run(tmp_path, program, mode=mode, files=files, max_records=100).ok()
    assert result.out == "gone_away\n"
    assert len(result.records) <= 100
    if mode != "finder":
        assert result.ancestors(result.load("gone_away")) == ["low", "mid", "top"]


def test_a_snapshot_is_immutable_and_consistent_while_imports_go_on(tmp_path):
    """Taken inside a body: the open loads are there without an end, and later ones do not appear."""
    files = {"outer.py": "import inner\n", "inner.py": """
        import sys
        sys.modules["__main__"].snap = sys.modules["__main__"].session.trace()
        """}  # fmt: skip
    program = """
    import json
    import outer
    import later
    first = [(r.module, r.outcome, r.duration_ns) for r in snap.records]
    print(json.dumps([first, snap.header["end"], [r.module for r in session.trace().loads]]))
    """
    result = run(tmp_path, program, files={**files, "later.py": ""}).ok()
    first, end, names = json.loads(result.out)
    assert end == "snapshot"
    assert [one for one in first if one[0] in ("outer", "inner")] == [
        ["outer", None, None],
        ["inner", None, None],
    ]
    assert names[-1] == "later"
