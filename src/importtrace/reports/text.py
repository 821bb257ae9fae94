"""A trace as plain text for a terminal: 80 columns, ASCII but for what the trace itself says.

What matters first: what failed, what was met half-built, what was slow; the tree comes last because
it is long. ``colour`` adds escape sequences; nothing else depends on where the text goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importtrace.analysis import tree
from importtrace.analysis.failed import failures
from importtrace.reports import stalls, standing
from importtrace.reports.terminal import (
    BOLD,
    DIM,
    RED,
    WIDTH,
    YELLOW,
    Paint,
    fit,
    plain,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importtrace.records import ImportRecord, ThreadRef, Trace

SLOWEST = 10
# A load with less than this part of its thread's time is folded in the tree.
WORTH_A_LINE = 0.01
WORTH_SAYING_NS = 50_000  # what rounds to a tenth of a millisecond


def report(trace: Trace, name: str, *, colour: bool = False, everything: bool = False) -> str:
    """The whole report. ``name`` is what the reader calls the trace.

    ``everything`` folds nothing in the lists and the tree.
    """
    figures = tree.analyse(trace)
    paint = Paint(colour)
    sections = [
        _head(trace, figures, name, paint),
        standing.lines(trace, paint),
        stalls.lines(trace, paint),
        _failures(trace, name, paint),
        _unfinished(trace, paint),
        _slowest(figures, paint, everything),
        _threads(figures, paint),
        _distributions(figures, paint, everything),
        _tree(figures, paint, everything),
    ]
    return "\n\n".join("\n".join(lines) for lines in map(list, sections) if lines) + "\n"


def milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:,.1f}"


def error_text(record: ImportRecord) -> str:
    """``type: message`` of a failure, as Python prints it."""
    error = record.error or {}
    kind, message = error.get("type") or "error", error.get("message")
    return plain(f"{kind}: {message}" if message else kind)


def thread_name(thread: ThreadRef) -> str:
    return plain(thread.name) if thread.name else f"thread {thread.serial or thread.id}"


def _head(trace: Trace, figures: tree.Analysis, name: str, paint: Paint) -> Iterator[str]:
    header = trace.header
    yield paint(fit(f"importtrace report of {plain(name)}", WIDTH), BOLD)
    process = [
        f"{header.get('argv0') or 'python'}",
        f"pid {header.get('pid', '?')}",
        f"{header.get('implementation', 'python')} {header.get('python', '?')}",
        f"{header.get('platform', '')}",
    ]
    yield "  " + fit(plain(", ".join(part for part in process if part)), WIDTH - 2)
    yield f"  start-up: {milliseconds(figures.elapsed_ns)} ms, {_end(header)}"
    yield (
        f"  imports:  {_count(len(figures.tree), 'module')} on "
        f"{_count(len(figures.threads), 'thread')} in {milliseconds(figures.importing_ns)} ms"
    )
    yield (
        f"  in all:   {milliseconds(figures.work_ns)} ms of work, "
        f"{milliseconds(figures.wait_ns)} ms waiting for other threads"
    )
    notes = []
    if figures.failed:
        notes.append(f"{figures.failed} failed")
    if figures.handled:
        notes.append(f"{figures.handled} failed and handled")
    if figures.handed_out:
        notes.append(f"{figures.handed_out} handed out half-built")
    if figures.compiled:
        notes.append(f"{figures.compiled} compiled from source")
    if notes:
        yield from wrapped(", ".join(notes), "  of these: ", lines=2)
    yield from _shortcomings(trace, paint)


def _end(header: dict[str, Any]) -> str:
    if isinstance(header.get("ready_ns"), int):
        by = header.get("ready_by")
        return f"then ready ({plain(by)})" if by else "then ready"
    return {
        "exit": "then the process ended; nothing said that it was ready",
        "snapshot": "so far; the trace was taken before the program was ready",
        "died": "then the process died; nothing said that it was ready",
        "running": "so far; the process still runs and is not ready",
    }.get(str(header.get("end")), "no ready mark")


def _shortcomings(trace: Trace, paint: Paint) -> Iterator[str]:
    """What this report cannot know, so that nobody takes it for the whole."""
    for problem in trace.problems[:5]:
        yield "  " + paint(fit(f"damaged: {plain(problem)}", WIDTH - 2), YELLOW)
    if len(trace.problems) > 5:
        yield "  " + paint(f"damaged: {len(trace.problems) - 5} more lines", YELLOW)
    dropped = trace.header.get("dropped")
    if dropped:
        line = f"dropped:  {dropped} records did not fit (IMPORTTRACE_MAX_RECORDS), sums are low"
        yield "  " + paint(fit(plain(line), WIDTH - 2), YELLOW)
    unseen = trace.header.get("not_observed")
    if isinstance(unseen, list) and unseen:
        kinds = plain(", ".join(map(str, unseen)))
        for line in wrapped(kinds, "  not observed here: ", lines=4):
            yield paint(line, YELLOW)


def _failures(trace: Trace, name: str, paint: Paint) -> Iterator[str]:
    """The failures that count; those that the program caught are everyday and only counted."""
    failed = failures(trace.records)
    loose = trace.header.get("failures")  # of statements that no record stands for
    loose = [cause for cause in loose if isinstance(cause, dict)] if isinstance(loose, list) else []
    if not failed and not loose:
        return
    open_ends = [record for record in failed if record.handled is not True]
    yield paint("Failed imports" if open_ends or loose else "Failed imports, all handled", BOLD)
    for record in open_ends:
        where = f"{thread_name(record.thread)}: {plain(record.module)}"
        yield "  " + paint(fit(where, WIDTH - 2), RED)
        yield from wrapped(error_text(record), "    ", lines=4)
        summary = (record.cause or {}).get("summary")
        if summary:
            yield from wrapped(plain(summary), "    = ", lines=4)
    for cause in loose:
        yield "  " + paint("outside any load", RED)
        yield from wrapped(plain(cause.get("message", "")), "    ", lines=4)
        yield from wrapped(plain(cause.get("summary", "")), "    = ", lines=4)
    if len(failed) > len(open_ends):
        yield f"  {len(failed) - len(open_ends)} more, handled by the program"
    if loose or any(record.cause for record in failed):
        yield f"  for the causes: importtrace explain {plain(name)}"


def _unfinished(trace: Trace, paint: Paint) -> Iterator[str]:
    met = [record for record in trace.records if record.wait_ns or record.outcome == "partial"]
    if not met:
        return
    yield paint("Modules met unfinished", BOLD)
    yield f"  {'at ms':>9}  {'waited ms':>9}  {'thread':<14}  module"
    for record in met:
        half = record.outcome == "partial"
        holder = _holder(record)
        note = f" (held by {holder})" if holder else " (in a circle)" if half else ""
        note = " half-built" * half + note
        line = (
            f"  {milliseconds(record.start_ns):>9}  {milliseconds(record.wait_ns or 0):>9}"
            f"  {fit(thread_name(record.thread), 14):<14}  "
        )
        room = WIDTH - len(line)
        module = plain(record.module)
        if len(module) + len(note) <= room:
            yield line + module + (paint(note, YELLOW) if note else "")
        else:
            yield line + fit(module, room)
            if note:
                yield " " * len(line) + paint(fit(note.strip(), room), YELLOW)


def _holder(record: ImportRecord) -> str | None:
    held = record.held_by or {}
    thread = held.get("thread")
    if not isinstance(thread, dict):
        return None
    return plain(thread.get("name") or f"thread {thread.get('id', '?')}")


def _slowest(figures: tree.Analysis, paint: Paint, everything: bool) -> Iterator[str]:
    slowest = figures.slowest(len(figures.tree) if everything else SLOWEST)
    if not slowest:
        return
    yield paint("Slowest modules by their own time", BOLD)
    yield f"  {'self ms':>9}  {'total ms':>9}  module"
    for load in slowest:
        by = load.record.importer
        line = f"  {milliseconds(load.self_ns):>9}  {milliseconds(load.total_ns):>9}  "
        room = WIDTH - len(line)
        module = plain(load.record.module)
        asked = f"  < {plain(by.module)}" if by is not None and by.module else ""
        if len(module) + len(asked) > room:
            asked = ""
        yield line + fit(module, room) + paint(asked, DIM)


def _threads(figures: tree.Analysis, paint: Paint) -> Iterator[str]:
    if not figures.threads:
        return
    yield paint("Threads", BOLD)
    heads = f"{'self ms':>9}  {'waited ms':>9}  {'modules':>7}  {'from ms':>9}  {'to ms':>9}"
    yield f"  {heads}  thread"
    for one in figures.threads:
        line = (
            f"  {milliseconds(one.self_ns):>9}  {milliseconds(one.wait_ns):>9}  {one.loads:>7}"
            f"  {milliseconds(one.first_ns):>9}  {milliseconds(one.last_ns):>9}  "
        )
        yield line + fit(thread_name(one.thread), WIDTH - len(line))


def _distributions(figures: tree.Analysis, paint: Paint, everything: bool) -> Iterator[str]:
    found = figures.distributions
    if not found:
        return
    shown = found if everything else found[:SLOWEST]
    yield paint("Distributions", BOLD)
    yield f"  {'self ms':>9}  {'modules':>7}  distribution"
    for one in shown:
        line = f"  {milliseconds(one.self_ns):>9}  {one.loads:>7}  "
        name = f"{one.name} {one.version}" if one.version else one.name
        yield line + fit(plain(name), WIDTH - len(line))
    rest = found[len(shown) :]
    if rest:
        spent = milliseconds(sum(one.self_ns for one in rest))
        modules = sum(one.loads for one in rest)
        yield paint(f"  {spent:>9}  {modules:>7}  {len(rest)} more", DIM)


def _tree(figures: tree.Analysis, paint: Paint, everything: bool) -> Iterator[str]:
    if not figures.tree:
        return
    yield paint("Tree: who loaded what", BOLD)
    yield f"  {'total ms':>9}  {'self ms':>9}  module"
    folded = _Folded()
    key: tuple[str, int] | None = None
    least = {
        tree.thread_key(one.thread): 0 if everything else one.total_ns * WORTH_A_LINE
        for one in figures.threads
    }
    hidden: int | None = None  # depth of a folded load: what is below it is folded with it
    for load in figures.tree:
        record = load.record
        if tree.thread_key(record.thread) != key:
            yield from folded.lines(paint)
            key, hidden = tree.thread_key(record.thread), None
            if len(figures.threads) > 1:
                yield "  " + paint(fit(f"[{thread_name(record.thread)}]", WIDTH - 2), BOLD)
        if hidden is not None and load.depth > hidden:
            folded.add(hidden, 0)
            continue
        yield from folded.lines(paint, below=load.depth)
        failed = record.outcome == "failed" and record.handled is not True
        if load.total_ns < least[key] and not failed:
            folded.add(load.depth, load.total_ns)
            hidden = load.depth
        else:
            yield _tree_line(load, paint)
            hidden = None
    yield from folded.lines(paint)


class _Folded:
    """What the tree leaves out, by depth, until it comes back above that depth."""

    def __init__(self) -> None:
        self._levels: dict[int, tuple[int, int]] = {}

    def add(self, depth: int, spent: int) -> None:
        count, total = self._levels.get(depth, (0, 0))
        self._levels[depth] = (count + 1, total + spent)

    def lines(self, paint: Paint, below: int = -1) -> Iterator[str]:
        for depth in sorted((depth for depth in self._levels if depth > below), reverse=True):
            count, spent = self._levels.pop(depth)
            text = f"{_indent(depth)}({_count(count, 'module')} more)"
            yield paint(f"  {milliseconds(spent):>9}  {'':>9}  {text}", DIM)


def _tree_line(load: tree.Load, paint: Paint) -> str:
    record = load.record
    notes = []
    if record.outcome == "failed":
        notes.append("failed, handled" if record.handled else "FAILED")
    if load.wait_ns >= WORTH_SAYING_NS:
        notes.append(f"waited {milliseconds(load.wait_ns)} ms")
    if record.duration_ns is None:
        notes.append("not finished")
    if record.reload:
        notes.append("reload")
    note = "  " + ", ".join(notes) if notes else ""
    line = f"  {milliseconds(load.total_ns):>9}  {milliseconds(load.self_ns):>9}  "
    line += _indent(load.depth)
    name = fit(plain(record.module), max(12, WIDTH - len(line) - len(note)))
    if record.outcome == "failed" and not record.handled:
        name, note = paint(name, RED), paint(note, RED)
    return line + name + note


def _indent(depth: int) -> str:
    # Past twenty levels the indent would leave no room for the name, so the level is said instead.
    return "  " * depth if depth <= 15 else "  " * 15 + f"[{depth}] "


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
