"""Sixteen threads load a package of two hundred modules with cycles; the trace equals what was."""

from __future__ import annotations

import collections

import pytest
from capture_support import MODES, PROBED, Run, run

THREADS, MODULES = 16, 200

GATE = """
import threading, _thread
log = []  # appending is atomic
def enter(name): log.append(("enter", name, _thread.get_ident()))
def leave(name): log.append(("leave", name, _thread.get_ident()))
start = threading.Barrier(16)
"""

PROGRAM = """
import gate, json, random, sys, threading
sys.setswitchinterval(1e-5)
failed = []
def work(seed):
    order = list(range(200))
    random.Random(ROUND * 100 + seed).shuffle(order)
    gate.start.wait(30)
    for number in order:
        try:
            __import__(f"gen.m{number}")
        except BaseException as error:
            failed.append([f"gen.m{number}", type(error).__name__])
threads = [threading.Thread(target=work, args=(seed,), name=f"w{seed}") for seed in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join(60)
print(json.dumps({
    "log": gate.log, "failed": failed, "alive": sum(thread.is_alive() for thread in threads),
    "missing": [n for n in range(200) if f"gen.m{n}" not in sys.modules],
}))
"""


def package() -> dict[str, str]:
    files = {"gate.py": GATE, "gen/__init__.py": ""}
    for number in range(MODULES):
        others = {(number * 7 + 3) % MODULES, (number * 13 + 5) % MODULES, number ^ 1} - {number}
        lines = ["import gate", "gate.enter(__name__)"]
        lines += [f"import gen.m{other}" for other in sorted(others)]
        lines += ["gate.leave(__name__)"]
        files[f"gen/m{number}.py"] = "\n".join(lines) + "\n"
    return files


def generated(result: Run, kind: str) -> list[dict[str, object]]:
    return [
        one for one in result.records if one["kind"] == kind and one["module"].startswith("gen.m")
    ]


@pytest.mark.parametrize("mode", PROBED)
@pytest.mark.parametrize("turn", range(3))
def test_every_load_once_and_every_wait_by_its_owner(mode, turn, tmp_path):
    """Against the modules' own log of who executed which body."""
    program = PROGRAM.replace("ROUND", str(turn))
    result = run(tmp_path, program, mode=mode, files=package())
    told = result.data
    assert told["alive"] == 0
    entered = collections.Counter((name, ident) for what, name, ident in told["log"]
                                  if what == "enter")  # fmt: skip
    executed = [one for one in generated(result, "load") if "exec_ns" in one]
    assert collections.Counter((one["module"], one["thread"]["id"]) for one in executed) == entered
    if not told["failed"]:
        assert told["missing"] == []
        assert len(executed) == MODULES
        assert {one["outcome"] for one in executed} <= {"ok", "waited"}
    loads = {one["id"]: one for one in result.records if one["kind"] == "load"}
    # a body that failed is run again, perhaps by another thread
    builders = {name: {i for n, i in entered if n == name} for name, _ in entered}
    requests = generated(result, "request")
    assert [one for one in requests if one.get("wait_ns")], "no thread waited: nothing was tested"
    for one in requests:
        if "of" not in one:
            continue
        load = loads[one["of"]]
        assert load["module"] == one["module"]
        assert load["thread"]["id"] in builders[one["module"]]
        end = one["start_ns"] + one["duration_ns"]
        if "held_by" in one:
            assert one["held_by"]["thread"]["id"] == load["thread"]["id"] != one["thread"]["id"]
        if one["outcome"] == "waited":
            assert end >= load["start_ns"] + load["duration_ns"]
        elif one["outcome"] == "partial":
            assert load["start_ns"] <= end <= load["start_ns"] + load["duration_ns"]
        parent = loads.get(one.get("parent"))
        assert parent is None or parent["thread"]["id"] == one["thread"]["id"]
    for one in executed:
        parent = loads.get(one.get("parent"))
        if parent is not None:
            assert parent["thread"]["id"] == one["thread"]["id"]
            assert parent["start_ns"] <= one["start_ns"]


@pytest.mark.parametrize("mode", PROBED)
def test_self_times_add_up_in_every_thread(mode, tmp_path):
    """Within 1 %, thread by thread."""
    result = run(tmp_path, PROGRAM.replace("ROUND", "7"), mode=mode, files=package())
    assert result.data["alive"] == 0
    by_thread = collections.defaultdict(list)
    for one in result.records:
        if one["kind"] == "load":
            by_thread[one["thread"]["serial"]].append(one)
    assert len(by_thread) > 2
    for loads in by_thread.values():
        ids = {one["id"] for one in loads}
        total = sum(one["duration_ns"] for one in loads if one.get("parent") not in ids)
        assert sum(one["self_ns"] for one in loads) == pytest.approx(total, rel=0.01, abs=1000)


@pytest.mark.parametrize("mode", MODES)
def test_a_full_memory_under_threads_is_counted_exactly(mode, tmp_path):
    """Kept plus dropped is what there was; the program is unaffected."""
    result = run(
        tmp_path,
        PROGRAM.replace("ROUND", "5"),
        mode=mode,
        files=package(),
        max_records=100,
    )
    told = result.data
    assert told["alive"] == 0
    assert told["missing"] == [] or told["failed"]
    assert len(result.records) <= 100
    assert result.header["dropped"] > 0
    if mode == "finder":
        return
    loads = sum(what == "enter" for what, _, _ in told["log"])
    kept = sum(one["kind"] == "load" and one["module"].startswith("gen.m")
               for one in result.records)  # fmt: skip
    assert kept + result.header["dropped"] >= loads


@pytest.mark.parametrize("mode", MODES)
def test_snapshots_and_explanations_while_others_import(mode, tmp_path):
    """Looking is safe at any time and from any thread, and each look is consistent in itself."""
    program = PROGRAM.replace("ROUND", "9").replace(
        "for thread in threads: thread.join(60)",
        """
problems, looks = [], 0
while any(thread.is_alive() for thread in threads) and looks < 15:
    trace = session.trace()
    looks += 1
    ids = {r.id for r in trace.records}
    problems += [r.module for r in trace.records if r.parent is not None and r.parent not in ids]
    importtrace.explain(ImportError("x"))
    [r.to_dict() for r in trace.records]
for thread in threads: thread.join(60)
assert not problems, problems
""",
    )
    result = run(tmp_path, program, mode=mode, files=package())
    told = result.data
    assert told["alive"] == 0
    # importlib itself raises it now and then where threads meet in a cycle
    assert {kind for _, kind in told["failed"]} <= {"_DeadlockError"}
