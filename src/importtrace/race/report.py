"""A `Report` as text for a tired person."""

from __future__ import annotations

import os
import re
import shlex
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from importtrace.race.coverage import coverage
from importtrace.race.orders import ALWAYS, CYCLE, HANG, MISSING, ORDER, SLOW, UNTRIED, Order, walk
from importtrace.race.outcome import DEADLOCK, ERROR
from importtrace.reports.terminal import BOLD, DIM, RED, WIDTH, YELLOW, Paint, fit, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importtrace.race.findings import Elsewhere, Report
    from importtrace.race.outcome import Result
    from importtrace.race.proof import Proof
    from importtrace.race.schedule import Schedule


MOST_ROWS = 12

_SAID = {
    "ok": "works",
    "import_error": "ImportError",
    "error": "error",
    "deadlock": "deadlock",
    "timeout": "hangs",
    "exit": "process ends",
}


def wrapped(text: str, indent: str, lines: int, hang: str = "") -> list[str]:
    """80 columns, but for a path or a name that is longer: it is to be copied."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * len(indent) + hang,
        max_lines=lines,
        placeholder=" ...",
        break_long_words=False,
        break_on_hyphens=False,
    )


def text(
    report: Report, *, colour: bool = False, written: dict[int, tuple[str, str]] | None = None
) -> str:
    """`written`: of proof number n, the schedule file and the test file."""
    return "\n".join(_lines(report, Paint(colour), written or {})) + "\n"


def _lines(report: Report, paint: Paint, written: dict[int, tuple[str, str]]) -> Iterator[str]:
    head = f"{plain(report.target)} on Python {report.python}: {verdict(report)}"
    yield from (paint(line, BOLD) for line in wrapped(head, "", lines=3))
    if report.origin:
        yield paint(fit(f"  {plain(report.origin)}", WIDTH), DIM)
    yield ""
    yield from _orders(report, paint)
    for number, proof in enumerate(report.proofs, start=1):
        yield ""
        yield from _proof(number, proof, report, paint, written.get(number))
    yield ""
    yield from wrapped(f"Covered: {coverage(report)}", "", lines=8)
    for note in report.notes:
        yield from wrapped(f"Note: {plain(note)}", "", lines=4)


def verdict(report: Report) -> str:
    """In half a line."""
    orders = sum(row.failed for row in report.orders)
    races = sum(not proof.own or report.strict for proof in report.proofs)
    parts = []
    if orders:
        parts.append(f"{orders} {'order fails' if orders == 1 else 'orders fail'}")
    if races:
        parts.append(f"{races} {'race' if races == 1 else 'races'} between threads")
    if parts:
        return " and ".join(parts)
    if any(proof.own and not _refused_only(proof) for proof in report.proofs):
        return "fails only where threads import the package and a module of it at once"
    if any(proof.own for proof in report.proofs):
        return "no failure of its own; see the note on Python's own locks"
    stopped = " before it was stopped" if report.interrupted or report.out_of_time else ""
    alone = sum(row.judged in (ALWAYS, UNTRIED) for row in report.orders)
    if alone:
        what = "1 module fails by itself" if alone == 1 else f"{alone} modules fail by themselves"
        return f"no race and no order failure found{stopped}; {what}"
    return f"no failure found{stopped}"


# orders ----------------------------------------------------------------------------------------


def _orders(report: Report, paint: Paint) -> Iterator[str]:
    rows = list(walk(report.orders))
    fine = len(report.orders) - len(rows)
    said = f"{fine} of {len(report.orders)} work" if rows else f"all {len(report.orders)} work"
    if not report.orders:
        said = "none was run"
    elif len(report.orders) == 1:
        said = "the only one fails" if rows else "the only one works"
    yield paint(f"Orders, in one thread: {said}", BOLD)
    shown = rows[:MOST_ROWS]
    for row in shown:
        yield from _order(row, paint)
    if len(rows) > len(shown):
        yield f"  ... and {len(rows) - len(shown)} more; --json has them all"
    missing = sorted({row.missing for row in rows if row.missing})
    if missing:
        end = "Not a matter of order, and no failure here."
        if any(row.missing and row.named for row in rows):
            end = "What you named needs it, so nothing can be said of it."
        yield from wrapped(f"not installed: {', '.join(missing)}. {end}", "  ", lines=4)


def _order(row: Order, paint: Paint) -> Iterator[str]:
    statement = ", then ".join(row.entries)
    kind = _SAID.get(row.outcome, row.outcome)
    if row.judged == MISSING:
        why = f"needs {row.missing}"
    elif row.judged == ORDER:
        why = "fails in this order"
    elif row.judged == CYCLE:
        why = "circular import, in every order"
    elif row.judged == HANG:
        why = "hangs, alone"
    elif row.judged == SLOW:
        why = "too slow to judge"
    elif row.outcome in ("timeout", "exit"):
        why = kind
    elif row.judged == UNTRIED:
        why = "fails; no time for other orders"
    else:
        why = "fails in every order"
    colour = RED if row.failed else YELLOW
    width = WIDTH - 4 - len(why)
    yield "  " + paint(fit(plain(statement), width).ljust(width), colour) + "  " + why
    if row.judged == MISSING:
        return
    yield from wrapped(plain(row.message or kind), "    ", lines=3)
    if row.judged == HANG and row.stack:
        yield from _stack(row.stack)
    elif row.place is not None:
        yield f"    at {plain(_short(row.place[0]))}, line {row.place[1]}"
    if row.confirmed is False:
        yield "    but not in an interpreter that was not forked"
    if row.works_after:
        first = row.works_after[0]
        more = f" and {len(row.works_after) - 1} others" if len(row.works_after) > 1 else ""
        yield from wrapped(f"works after: import {plain(first)}{more}", "    ", lines=2)
    if row.failed and row.cause is not None:
        yield from _cause(row.cause, "    ")


def _cause(cause: dict[str, Any], indent: str) -> Iterator[str]:
    if cause.get("summary"):
        said = re.sub(r"\bthread T(\d+)\b", r"thread \1", str(cause["summary"]))
        yield from wrapped(plain(f"why: {said}"), indent, lines=6)
    cycle = cause.get("cycle") or []
    if cycle:
        yield f"{indent}the circle:"
    for link in cycle[:8]:
        place = f"{os.path.basename(link['file'])}:{link['line']}" if link.get("file") else "?"
        said = f": {link['statement']}" if link.get("statement") else ""
        yield from wrapped(
            plain(f"{link.get('module')} ({place}){said}"), indent + "  ", lines=3, hang="  "
        )
    if len(cycle) > 8:
        yield f"{indent}  ... and {len(cycle) - 8} more"
    if cause.get("hint"):
        yield from wrapped(plain(f"what next: {cause['hint']}"), indent, lines=4)


# races -----------------------------------------------------------------------------------------


def _proof(
    number: int, proof: Proof, report: Report, paint: Paint, files: tuple[str, str] | None
) -> Iterator[str]:
    result = proof.result
    first = result.first
    kind = first.type if first is not None and result.outcome == ERROR else None
    title = f"Race {number}: {plain(kind) if kind else _SAID[result.outcome]}"
    if proof.own and _refused_only(proof):
        title += ", by Python's own order of locks"
    yield paint(title, RED if not proof.own or report.strict else YELLOW)
    yield from told(proof.schedule, result)
    yield ""
    if result.message and (result.first is not None or proof.cause is None):
        yield from wrapped(plain(result.message), "  ", lines=4)
    if first is not None and first.frames:
        yield from _frames(first.frames)
    if proof.own and _refused_only(proof):
        yield from wrapped(_ONLY_LOCKS, "  ", lines=6)
    else:
        if proof.cause is not None:
            yield from _cause(proof.cause, "  ")
        if proof.own:
            yield from wrapped(_ALSO_LOCKS, "  ", lines=4)
    yield from _sure(proof)
    yield "  replay it:"
    yield from _command(report, proof.schedule)
    if proof.other is not None:
        yield from _other_way(proof.other, report)
    for there in report.elsewhere.get(number, ()):
        yield from wrapped(f"on Python {there.python}: {elsewhere(there)}", "  ", lines=4)
    if files is not None:
        yield from wrapped(f"written: {files[0]} and {files[1]}", "  ", lines=3)


_ONLY_LOCKS = (
    "This Python takes the lock of a module before that of its package, so two threads can each hold "
    "what the other wants, without any import being wrong. Python 3.15.2 does not. What next: import "
    "the package once, in one thread, before the threads start."
)
_ALSO_LOCKS = (
    "The two threads meet because this Python takes the lock of a module before that of its package. "
    "Python 3.15.2 takes the package's first, and they do not meet there."
)


def _refused_only(proof: Proof) -> bool:
    """`_DeadlockError`, and nobody was given anything half-built: then no import is wrong."""
    kind = (proof.cause or {}).get("kind", "lock_order")
    return proof.result.outcome == DEADLOCK and kind == "lock_order"


def _sure(proof: Proof) -> Iterator[str]:
    said = [f"replayed {proof.text}"] if proof.replays else []
    if proof.confirmed is not None:
        said.append(
            "and in an interpreter of its own"
            if proof.confirmed
            else "but not in one that was not forked"
        )
    line = ", ".join(said) or "seen once"
    if not proof.certain:
        line += ": the places are not all there is to it"
    if proof.interrupted:
        line += ". Stopped before the rest of the proof; replay it with the line below"
    elif proof.cut:
        left = [f"{proof.wanted - proof.replays} of {proof.wanted} replays"]
        if proof.confirmed is None:
            left.append("the run in an interpreter of its own")
        line += f". The time was over: left out {' and '.join(left)}; --time-limit gives more"
    yield from wrapped(line, "  ", lines=4)


def _other_way(other: Proof, report: Report) -> Iterator[str]:
    """Who gets a `_DeadlockError` is a matter of who asks last: what a user has seen may be either."""
    first = other.result.first
    who = f"thread {first.thread}" if first is not None else "another thread"
    yield from wrapped(
        f"the same two locks, but {who} asks last and gets the error: {plain(other.result.message or '')}",
        "  ",
        lines=4,
    )
    if other.cause is not None and other.cause.get("kind") != "lock_order":
        yield from _cause(other.cause, "  ")
    yield from _sure(other)
    yield from _command(report, other.schedule)


def _command(report: Report, schedule: Schedule) -> Iterator[str]:
    """To be pasted as it stands."""
    words = ["importtrace reproduce"]
    words += [f"--python {shlex.quote(report.executable)}"] if report.executable else []
    words += [f"--path {shlex.quote(folder)}" for folder in report.path]
    words.append(f"--schedule {shlex.quote(str(schedule))}")
    if len(" ".join(words)) <= WIDTH - 4:
        yield f"    {' '.join(words)}"
        return
    yield f"    {words[0]} \\"
    yield from (f"      {word} \\" for word in words[1:-1])
    yield f"      {words[-1]}"


def elsewhere(there: Elsewhere) -> str:
    """What an upgrade would do about it."""
    if there.outcome != "ok":
        return f"fails, too ({_SAID[there.outcome]})"
    why = f" ({plain(there.diverged)})" if there.diverged else ""
    if there.also is not None:
        return (
            f"cannot fail this way{why}, but in another ({_SAID[there.also[1]]}): {there.also[0]}"
        )
    return f"cannot fail this way{why}; no failure of these entries in {there.runs} runs"


def told(schedule: Schedule, result: Result) -> Iterator[str]:
    """The schedule in words: who runs, where it stops, what came of it."""
    for number, entry in enumerate(schedule.entries, start=1):
        yield f"  thread {number} runs: {plain(entry.statement)}"
    step = 1
    for switch in schedule.switches:
        if switch.kind == "start":
            yield f"  {step}. thread {switch.to} begins"
            step += 1
            continue
        yield from wrapped(
            f"{step}. {plain(switch.told())}: thread {switch.to} goes on", "  ", lines=3
        )
        step += 1
    ends = []
    for thread in sorted(result.threads, key=lambda one: (one.order == 0, one.order)):
        if thread.error is not None:
            ends.append(f"thread {thread.thread} fails ({thread.type})")
        elif thread.doing:
            ends.append(f"thread {thread.thread} {thread.doing}")
    if ends:
        yield from wrapped(f"{step}. {plain('; '.join(ends))}", "  ", lines=6)


def _frames(frames: tuple[tuple[str, int, str], ...], indent: str = "    ") -> Iterator[str]:
    shown = [frame for frame in frames if not frame[0].startswith("<")][-4:]
    for file, line, module in shown:
        yield from wrapped(
            plain(f"{module} ({_short(file)}, line {line})"), indent, lines=9, hang="  "
        )


def _stack(frames: tuple[tuple[str, int, str], ...]) -> Iterator[str]:
    """Of a thread that is blocked, without the standard library, which waits on its behalf."""
    theirs = [
        frame for frame in frames if frame[2].partition(".")[0] not in sys.stdlib_module_names
    ]
    yield "    it came there by:"
    yield from _frames(tuple(theirs) or frames, "      ")


def _short(file: str) -> str:
    """Below the current folder, without it."""
    here = os.getcwd() + os.sep
    return file[len(here) :] if file.startswith(here) else file


def one_schedule(report: Report, result: Result, *, colour: bool = False) -> Iterator[str]:
    """What one schedule did on one interpreter."""
    paint = Paint(colour)
    if report.proofs:
        proof = report.proofs[0]
        said = f"Python {report.python}: fails, {proof.text}"
        yield paint(said, BOLD)
        yield from _proof(1, proof, report, paint, None)
        return
    if result.slow:
        yield paint(f"Python {report.python}: not judged, {plain(result.message)}", BOLD)
        return
    if result.followed:
        yield paint(f"Python {report.python}: this schedule does not fail", BOLD)
        return
    yield paint(f"Python {report.python}: cannot fail this way", BOLD)
    yield from wrapped(
        f"The schedule cannot be followed: {plain(result.diverged)}. The imports worked.",
        "  ",
        lines=4,
    )
