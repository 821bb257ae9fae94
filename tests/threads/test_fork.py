"""Forks: the child's trace is its own, the parent's goes on, and nothing hangs or warns."""

from __future__ import annotations

import json
import os
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from capture_support import MODES, PROBED, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork here")


def traces(folder: Path) -> dict[int, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """pid -> (header, records) of every trace file in ``folder``."""
    found = {}
    for path in folder.glob("t-*.jsonl"):
        header, *records = map(json.loads, path.read_text().splitlines())
        assert path.name == f"t-{header['pid']}.jsonl"
        found[header["pid"]] = header, records
    return found


def modules(records: list[dict[str, Any]]) -> list[str]:
    return [one["module"] for one in records if one["kind"] == "load"]


def forking(folder: Path, program: str, mode: str, files: dict[str, str], **more: Any) -> Any:
    start = (
        f"import importtrace; session = importtrace.install(mode={mode!r}, log='off', spans='off',"
        " file='t-{pid}.jsonl')\n"
    )
    return run(folder, start + textwrap.dedent(program), mode=None, files=files, **more)


@pytest.mark.parametrize("mode", MODES)
def test_a_fork_after_imports_starts_a_trace_of_its_own(mode, tmp_path):
    """What the parent loaded is not the child's; pid, parent pid and times are the child's."""
    program = """
    import os, sys, before
    print(os.getpid())
    pid = os.fork()
    if pid == 0:
        import in_child
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    import in_parent
    print(pid)
    """
    files = {f"{name}.py": "" for name in ("before", "in_child", "in_parent")}
    result = forking(tmp_path, program, mode, files, flags=("-u",)).ok()
    parent, child = _pids(result.out)
    found = traces(tmp_path)
    assert set(found) == {parent, child}
    header, records = found[child]
    assert modules(records) == ["in_child"]
    assert header["parent_pid"] == parent
    assert header["start"] > found[parent][0]["start"]
    assert header["parent_trace"] == {"pid": parent, "start": found[parent][0]["start"]}
    assert "parent_trace" not in found[parent][0]
    assert all(0 <= one["start_ns"] < 30e9 for one in records)
    assert modules(found[parent][1]) == ["before", "in_parent"]
    assert found[parent][0]["dropped"] == 0


def _pids(out: str) -> tuple[int, int]:
    first, second = map(int, out.split())
    return first, second


@pytest.mark.parametrize("mode", PROBED)
def test_a_fork_in_a_body_carries_the_open_loads_over(mode, tmp_path):
    """The child goes on in the middle of outer -> forks: these begin anew, and their times fit."""
    program = """
    import outer
    import afterwards
    """
    files = {
        "outer.py": "import early\nimport time; time.sleep(0.05)\nimport forks\nimport late\n",
        "early.py": "",
        "forks.py": "import os, sys\npid = os.fork()\nimport inner\n"
        "if pid:\n    assert os.waitpid(pid, 0)[1] == 0\n    print(os.getpid(), pid)\n",
        "inner.py": "",
        "late.py": "",
        "afterwards.py": "",
    }
    result = forking(tmp_path, program, mode, files, flags=("-u",)).ok()
    parent, child = _pids(result.out)
    found = traces(tmp_path)
    assert set(found) == {parent, child}
    header, records = found[child]
    assert modules(records) == ["outer", "forks", "inner", "late", "afterwards"]
    by_name = {one["module"]: one for one in records}
    assert by_name["forks"]["parent"] == by_name["outer"]["id"]
    assert by_name["inner"]["parent"] == by_name["forks"]["id"]
    assert by_name["late"]["parent"] == by_name["outer"]["id"]
    assert "parent" not in by_name["afterwards"]
    for one in records:
        assert one["outcome"] == "ok"
        assert one["self_ns"] <= one["duration_ns"]
        for key in ("find_ns", "load_ns", "exec_ns", "wait_ns"):
            assert 0 <= one.get(key, 0) <= one["duration_ns"], (one["module"], key)
    total = sum(one["duration_ns"] for one in records if "parent" not in one)
    assert sum(one["self_ns"] for one in records) == pytest.approx(total, rel=0.01)
    assert modules(found[parent][1]) == ["outer", "early", "forks", "inner", "late", "afterwards"]
    assert header["parent_pid"] == parent


@pytest.mark.parametrize("mode", PROBED)
def test_a_fork_while_another_thread_imports(mode, tmp_path):
    """The child knows nothing of the other thread's load but the locks; its own imports work."""
    program = """
    import os, sys, threading, gates, warnings
    warnings.simplefilter("ignore")
    builder = threading.Thread(target=__import__, args=("slow",))
    builder.start()
    assert gates.in_slow.wait(20)
    pid = os.fork()
    if pid == 0:
        import in_child
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    gates.leave.set()
    builder.join(20)
    print(os.getpid(), pid)
    """
    files = {
        "gates.py": "import threading\nin_slow = threading.Event()\nleave = threading.Event()\n",
        "slow.py": "import gates\ngates.in_slow.set()\nassert gates.leave.wait(20)\nimport leaf\n",
        "leaf.py": "",
        "in_child.py": "",
    }
    result = forking(tmp_path, program, mode, files).ok()
    parent, child = _pids(result.out)
    found = traces(tmp_path)
    _, records = found[child]
    assert modules(records) == ["in_child"]
    assert {"slow", "leaf"} <= set(modules(found[parent][1]))
    serials = {one["thread"]["serial"] for one in records}
    assert len(serials) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(mode, method, tmp_path):
    """Each start method works as without us; the program's own output and exit code."""
    program = """
    import multiprocessing, os
    import work
    if __name__ == "__main__":
        context = multiprocessing.get_context(METHOD)
        with context.Pool(2) as pool:
            print(pool.map(work.double, range(4)))
        process = context.Process(target=work.double, args=(1,))
        process.start()
        process.join(20)
        print(process.exitcode)
    """.replace("METHOD", repr(method))
    files = {"work.py": "def double(x):\n    import decimal\n    return x * 2\n"}
    result = forking(tmp_path, program, mode, files).ok()
    assert result.out == "[0, 2, 4, 6]\n0\n"
    assert result.err == ""
    found = traces(tmp_path)
    for header, _ in found.values():
        # spawn starts afresh; a child of the fork server names the server, which is its parent
        if method == "spawn":
            assert "parent_trace" not in header
        elif "parent_trace" in header:
            assert header["parent_trace"]["pid"] == header["parent_pid"]
    if method == "fork":
        # the single process imports and ends; of the pool's, which are terminated, nothing is sure
        alone = [
            header for header, records in found.values() if modules(records)[:1] == ["decimal"]
        ]
        assert alone
        assert all("parent_trace" in header for header in alone)
        assert {header["end"] for header in alone} == {"exit"}


@pytest.mark.parametrize("mode", PROBED)
def test_children_of_multiprocessing_that_end_leave_their_traces(mode, tmp_path):
    """They end by `os._exit`, after finalizers: also a child's child; once each, and not the idle one."""
    program = """
    import multiprocessing, os
    import work
    context = multiprocessing.get_context("fork")
    def outer():
        import first
        inner = context.Process(target=work.inner)
        inner.start()
        inner.join(20)
        print(inner.exitcode, flush=True)
    for target in (outer, os.getpid):
        process = context.Process(target=target)
        process.start()
        process.join(20)
        print(process.exitcode, flush=True)
    """
    files = {"work.py": "def inner():\n    import second\n", "first.py": "", "second.py": ""}
    result = forking(tmp_path, program, mode, files).ok()
    assert (result.out, result.err) == ("0\n0\n0\n", "")
    found = traces(tmp_path)
    (outer,) = [pid for pid, (_, records) in found.items() if modules(records)[:1] == ["first"]]
    (inner,) = [pid for pid, (_, records) in found.items() if modules(records)[:1] == ["second"]]
    assert found[inner][0]["parent_pid"] == outer
    assert found[inner][0]["parent_trace"]["start"] == found[outer][0]["start"]
    assert found[outer][0]["end"] == found[inner][0]["end"] == "exit"
    assert len(found) == 3


@pytest.mark.parametrize("mode", ["auto", "finder"])
@pytest.mark.parametrize("settings", ["", ", file='t-{pid}.jsonl'"])
def test_no_warning_of_threads_at_a_fork_after_ready(mode, settings, tmp_path):
    """3.12 warns of any live thread; ours is over by then. Twenty forks, each right after ready."""
    program = f"""
    import os, importtrace
    for turn in range(20):
        session = importtrace.install(mode={mode!r}, log="off", spans="off"{settings})
        importtrace.mark_ready()
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        session.uninstall()
    """
    result = run(tmp_path, program, mode=None, flags=("-W", "error"))
    assert result.err == ""
    assert result.code == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_child_that_ends_by_os_exit_writes_nothing(mode, tmp_path):
    """And neither its trace nor its end disturbs the parent's file."""
    program = """
    import os, before
    pid = os.fork()
    if pid == 0:
        import in_child
        os._exit(3)
    print(os.waitpid(pid, 0)[1] >> 8)
    """
    result = forking(tmp_path, program, mode, {"before.py": "", "in_child.py": ""}).ok()
    assert result.out == "3\n"
    assert len(traces(tmp_path)) == 1


@pytest.mark.parametrize("mode", PROBED)
def test_a_fork_of_a_fork(mode, tmp_path):
    """Each process has a trace with its own pid and its own parent's."""
    program = """
    import os, sys
    chain = [os.getpid()]
    for name in ("one", "two"):
        pid = os.fork()
        if pid:
            assert os.waitpid(pid, 0)[1] == 0
            break
        chain.append(os.getpid())
        __import__(name)
    """
    result = forking(tmp_path, program, mode, {"one.py": "", "two.py": ""}).ok()
    assert result.err == ""
    found = traces(tmp_path)
    parents = {header["pid"]: header["parent_pid"] for header, _ in found.values()}
    loads = {pid: modules(records) for pid, (_, records) in found.items()}
    assert sorted(loads.values()) == [[], ["one"], ["two"]] or sorted(loads.values()) == [
        ["one"],
        ["two"],
    ]
    last = next(pid for pid, names in loads.items() if names == ["two"])
    assert loads[parents[last]] == ["one"]
