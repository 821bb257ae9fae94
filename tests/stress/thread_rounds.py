"""Many threads import a generated package full of cycles; the trace is compared with what happened.

    python tests/stress/thread_rounds.py --rounds 100 [--nested] [--threads 64] [--modules 2000]

The modules themselves append to a list who ran their body, when it began and when it ended: appending
is atomic, so nothing is ordered that would not have been. A round installs the tracing, lets all
threads import all modules in orders of their own, uninstalls, and compares:

- each body that ran is one load of the trace, in its thread, and in each thread in the same order;
- each module was loaded well once, by the thread that saw its body to the end;
- the load above it is the module whose body was running in that thread;
- the importer's line holds that very import;
- who is said to have held a module that was waited for was building it;
- a wait that says it was fulfilled ended after the builder's load, a hand-out before it.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

PER_PACKAGE = 50
CYCLE = 20
WITNESS = """
from _thread import get_ident
log = []
def enter(name): log.append((name, get_ident(), True))
def leave(name): log.append((name, get_ident(), False))
def done(name): log.append((name, get_ident(), None))  # no exception left the body
"""


def names(modules: int, nested: bool) -> list[str]:
    """Full names. Nested: packages of fifty modules each, the first of which is the package itself.
    There CPython's child-before-parent order of locks makes many imports fail, and be tried again."""
    if not nested:
        return [f"gen.m{number}" for number in range(modules)]
    return [
        f"gen.p{number // PER_PACKAGE}"
        + (f".m{number % PER_PACKAGE}" if number % PER_PACKAGE else "")
        for number in range(modules)
    ]


def wishes(number: int, modules: int) -> list[int]:
    """What a module imports: cycles among its twenty, and one of twenty others, without a cycle, so
    that no chain comes near the recursion limit."""
    block, place = divmod(number, CYCLE)
    others = {(place * 7 + 3) % CYCLE, (place * 13 + 5) % CYCLE, place ^ 1} - {place}
    found = {block * CYCLE + other for other in others}
    if block:
        found.add(block // 2 * CYCLE + place)
    return sorted(other for other in found if other < modules and other != number)


def write(folder: Path, modules: int, nested: bool) -> dict[str, list[str]]:
    """The package; the lines of each module."""
    (folder / "witness.py").write_text(WITNESS)
    (folder / "gen").mkdir()
    (folder / "gen" / "__init__.py").write_text("")
    every = names(modules, nested)
    texts = {}
    for number, name in enumerate(every):
        imports = [f"    import {every[other]}" for other in wishes(number, modules)]
        lines = ["import witness", "witness.enter(__name__)", "try:", *imports]
        lines += ["finally:", "    witness.leave(__name__)", "witness.done(__name__)"]
        texts[name] = lines
        path = folder.joinpath(*name.split("."))
        if nested and name.count(".") == 1:
            path.mkdir()
            path = path / "__init__"
        path.with_suffix(".py").write_text("\n".join(lines) + "\n")
    return texts


def one_round(every: list[str], threads: int, seed: int, mode: str) -> tuple[Any, list[Any], Any]:
    """(trace, the witness's log, names of errors that the threads met)."""
    import witness

    import importtrace

    failed: list[str] = []
    start = threading.Barrier(threads)

    def work(number: int) -> None:
        order = list(every)
        random.Random(seed * 1000 + number).shuffle(order)
        start.wait(60)
        for name in order:
            try:
                __import__(name)
            except BaseException as error:
                failed.append(type(error).__name__)

    witness.log.clear()
    with importtrace.install(
        mode=mode, log="off", spans="off", max_records=5_000_000, stall_seconds=0
    ) as session:
        workers = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(threads)]
        for worker in workers:
            worker.start()
        deadline = time.monotonic() + 300
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        if any(worker.is_alive() for worker in workers):
            failed.append("hangs")
        trace = session.trace()
    return trace, list(witness.log), collections.Counter(failed)


def purge() -> None:
    for name in [name for name in sys.modules if name == "gen" or name.startswith("gen.")]:
        del sys.modules[name]


def compare(trace: Any, log: list[Any], lines: dict[str, list[str]]) -> list[str]:
    """Where trace and witness disagree."""
    wrong: list[str] = []
    loads = {one.id: one for one in trace.records if one.kind == "load"}
    ours = [one for one in loads.values() if one.module.startswith("gen.")]
    if trace.header["dropped"]:
        wrong.append(f"{trace.header['dropped']} dropped")
    executed = [one for one in ours if one.exec_ns is not None]
    began = {one.id: one.start_ns + one.duration_ns - one.exec_ns for one in executed}

    # each body, by thread and order; and what was running there when it began
    bodies: dict[int, list[str]] = collections.defaultdict(list)
    above: dict[int, list[str | None]] = collections.defaultdict(list)
    open_: dict[int, list[str]] = collections.defaultdict(list)
    builders: dict[str, set[int]] = collections.defaultdict(set)
    done: list[tuple[str, int]] = []
    for name, ident, entered in log:
        if entered is None:
            done.append((name, ident))
        elif entered:
            bodies[ident].append(name)
            above[ident].append(open_[ident][-1] if open_[ident] else None)
            open_[ident].append(name)
            builders[name].add(ident)
        elif open_[ident].pop() != name:
            wrong.append(f"the witness saw {name} end out of order")
    seen: dict[int, list[Any]] = collections.defaultdict(list)
    for one in sorted(executed, key=lambda one: began[one.id]):
        seen[one.thread.id].append(one)
    for ident in bodies.keys() | seen.keys():
        told = [one.module for one in seen[ident]]
        if told != bodies[ident]:
            wrong.append(f"thread {ident} ran {bodies[ident][:9]}…, the trace says {told[:9]}…")
            continue
        for one, parent in zip(seen[ident], above[ident], strict=True):
            holder = loads.get(one.parent)
            # `import a.b` has begun to load a.b when it loads a, but a.b's body does not run yet
            while holder is not None and began.get(holder.id, one.start_ns + 1) > one.start_ns:
                holder = loads.get(holder.parent)
            if (holder.module if holder is not None else None) != parent:
                wrong.append(f"{one.module}: parent {holder and holder.module}, was {parent}")
    whole = collections.Counter((one.module, one.thread.id) for one in executed if not one.error)
    # importlib's own KeyError for a parent that failed meanwhile comes after the body's end
    orphans = {(one.module, one.thread.id) for one in executed if one.error and _of_parent(one)}
    seen_whole = collections.Counter(done)
    odd = set(whole - seen_whole) | (set(seen_whole - whole) - orphans)
    if odd:
        wrong.append(f"bodies that ended well, or did not: {odd}")
    if sorted(name for name, _ in done) != sorted(lines):
        wrong.append(f"{len(done)} bodies of {len(lines)} modules ended well")

    for one in trace.records:
        if not one.module.startswith("gen.") or one.importer is None:
            continue
        text = lines.get(one.importer.module or "")
        if text is not None and one.importer.line is not None:
            wanted = text[one.importer.line - 1].split()
            if len(wanted) != 2 or not f"{wanted[1]}.".startswith(f"{one.module}."):
                wrong.append(f"{one.module} was not asked for by {wanted} of {one.importer}")
    for one in trace.records:
        if not one.module.startswith("gen.") or one.of is None:
            continue
        load = loads[one.of]
        # one that never ran the body held the lock all the same, until its parent's import failed
        built = load.thread.id in builders[one.module] or load.exec_ns is None
        if load.module != one.module or not built:
            wrong.append(
                f"{one.module} is of a load of {load.module} by {load.thread}, built by "
                f"{builders[one.module]}"
            )
        if one.held_by is not None and one.held_by["thread"]["id"] != load.thread.id:
            wrong.append(f"{one.module}: held_by and of differ")
        end = one.start_ns + one.duration_ns
        over = load.start_ns + load.duration_ns
        if one.kind == "request" and one.outcome == "waited" and end < over:
            wrong.append(f"{one.module}: the wait ended before the load")
        if one.outcome == "partial" and not load.start_ns <= end <= over:
            wrong.append(f"{one.module}: handed out half-built when it was not being built")
        parent = loads.get(one.parent)
        if parent is not None and parent.thread.id != one.thread.id:
            wrong.append(f"{one.module}: its parent is another thread's")
    return wrong


def _of_parent(one: Any) -> bool:
    """Whether it ended with importlib's `sys.modules[parent]`."""
    return one.error == {"type": "KeyError", "message": repr(one.module.rpartition(".")[0])}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--modules", type=int, default=2000)
    parser.add_argument("--nested", action="store_true", help="in packages; flat without")
    parser.add_argument("--mode", default="auto", choices=("auto", "probes"))
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}, Python {sys.version.split()[0]}", flush=True)
    sys.dont_write_bytecode = False
    totals: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="importtrace-threads-") as name:
        lines = write(Path(name), given.modules, given.nested)
        sys.path.insert(0, name)
        every = list(lines)
        for turn in range(given.rounds):
            __import__("gen")
            sys.setswitchinterval((5e-3, 1e-4, 1e-5)[turn % 3])
            trace, log, failed = one_round(every, given.threads, seed + turn, given.mode)
            wrong = compare(trace, log, lines)
            purge()
            totals["rounds without a failed import"] += not failed
            totals["loads"] += sum(entered is True for _, _, entered in log)
            totals["waits"] += sum(bool(one.wait_ns) for one in trace.records)
            totals["partial"] += sum(one.outcome == "partial" for one in trace.records)
            totals.update({f"threads met {kind}": count for kind, count in failed.items()})
            if wrong:
                totals["wrong rounds"] += 1
                print(
                    f"round {turn}: {len(wrong)} differences", *wrong[:10], sep="\n  ", flush=True
                )
    print(json.dumps({"rounds": given.rounds, **totals}))
    return 1 if totals["wrong rounds"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
