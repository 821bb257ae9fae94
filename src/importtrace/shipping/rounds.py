"""Pass after pass over the files; what is said about them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from importtrace.errors import TraceFileError
from importtrace.shipping import parcels, sources
from importtrace.shipping.courier import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from importtrace.shipping.courier import Courier
    from importtrace.shipping.positions import Positions
    from importtrace.shipping.sources import Content, Source

# A spool whose process cannot be looked at (it is another container's) and that has not changed for so
# long is sent as it is; what is added to it later is sent too.
SETTLED_S = 120.0
LONGEST_REST_S = 10.0  # between two looks at a spool in which nothing happens
_ESTIMATE_S = 2.0  # for saying what is left when we are to end


@dataclass(slots=True)
class Totals:
    """Of this run. ``lost`` are records that were dropped while recording, or cannot be read;
    ``uncounted`` files of which there was no time to say how much is ``left``."""

    traces: int = 0
    sent: int = 0
    refused: int = 0
    left: int = 0
    lost: int = 0
    uncounted: int = 0
    unreadable: list[str] = field(default_factory=list)


class Rounds:
    """``out`` takes a line for each trace that was sent, ``say`` one for each trouble."""

    def __init__(
        self,
        paths: Sequence[str],
        positions: Positions,
        courier: Courier,
        *,
        max_spans: int,
        long_wait_ms: int,
        follow: bool,
        out: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self.totals = Totals()
        self._paths = paths
        self._positions = positions
        self._courier = courier
        self._limits = {"max_spans": max_spans, "long_wait_ms": long_wait_ms}
        self._budgeted = max_spans < sources.LARGEST
        self._follow = follow
        self._out = out
        self._say = say
        self._shelf = sources.Shelf()
        self._seen: dict[str, tuple[int, ...]] = {}  # path -> stamp of what is dealt with
        self._said: set[str] = set()
        self._changed: dict[str, tuple[object, float]] = {}  # path -> what is in it, and since when
        self._due: dict[str, float] = {}  # path -> when to look into it again

    def once(self) -> None:
        """Send what is there and ready. Raises Stopped; ``totals`` are right then, too."""
        present = []
        for path in self._paths:
            try:
                present += sources.look(path)
            except TraceFileError as error:
                if not self._follow:
                    raise
                self._trouble(path, error)  # the folder, or the file, may come yet
        for position, source in enumerate(present):
            if self._seen.get(source.path) == source.stamp:
                continue
            if time.monotonic() < self._due.get(source.path, 0.0):
                continue
            try:
                if self._ship(source):
                    self._seen[source.path] = source.stamp
            except Stopped:
                self._estimate(present[position + 1 :])
                raise
            except TraceFileError as error:
                self._trouble(source.path, error)
                self._seen[source.path] = source.stamp
            except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
                # a header that no importtrace wrote
                self._trouble(
                    source.path,
                    f"{source.path!r} is damaged ({type(error).__name__}: {error}); nothing is sent",
                )
                self._seen[source.path] = source.stamp
        known = {source.path for source in present}
        self._shelf.keep_only(known)
        for memory in (self._seen, self._changed, self._due):
            for path in [path for path in memory if path not in known]:
                del memory[path]

    def _ship(self, source: Source) -> bool:
        """Whether nothing more need be done until the file changes."""
        content = self._shelf.read(source)
        if source.spool and content.state != "over" and self._rests(source.path, content):
            return False
        position = self._positions.of(content.trace.header)
        if position.complete:
            return True
        over = self._over(source, content)
        if self._budgeted and not (over or content.started):
            return False  # what a budget keeps is not known before the end
        spans, todo = parcels.outstanding(content, position, over=over, **self._limits)
        shipment = parcels.Shipment()
        try:
            if todo:
                parcels.send(content, spans, todo, position, self._courier, shipment)
        finally:
            self._count(source, content, shipment, bool(todo))
        if content.state == "over":
            position.finish()
        return content.state == "over" or not source.spool

    def _over(self, source: Source, content: Content) -> bool:
        """Whether what has not ended never will."""
        if content.state == "over":
            return True
        if not source.spool:
            return not self._follow
        if content.state == "running":
            return False
        since = self._changed[source.path][1]
        return not self._follow or time.monotonic() - since > SETTLED_S

    def _rests(self, path: str, content: Content) -> bool:
        """Whether nothing happened in it since it was dealt with; it is then looked at less often."""
        now = time.monotonic()
        header = content.trace.header
        what = len(content.trace.records), content.open, header.get("ready_ns"), content.state
        known = self._changed.get(path)
        if known is None or known[0] != what:
            self._changed[path] = what, now
            self._due[path] = 0.0
            return False
        self._due[path] = now + min(LONGEST_REST_S, (now - known[1]) / 4)
        # once more when it has settled
        return content.state == "running" or now - known[1] <= SETTLED_S

    def _count(
        self, source: Source, content: Content, shipment: parcels.Shipment, any_todo: bool
    ) -> None:
        header, problems = content.trace.header, content.trace.problems
        dropped = int(header.get("dropped") or 0)
        self.totals.sent += shipment.sent
        self.totals.refused += shipment.refused
        self.totals.left += shipment.left
        if not any_todo:
            return
        parts = [f"{shipment.sent:,} spans sent"]
        if shipment.unsampled:
            parts = ["not sampled, nothing sent"]
        if shipment.left:
            parts.append(f"{shipment.left:,} left")
        if shipment.refused:
            parts.append(f"{shipment.refused:,} refused by the collector")
        if dropped:
            parts.append(f"{dropped:,} records were dropped while recording")
        if problems and source.spool:  # it has no lines, and one that was full is not damaged
            more = f" (and {len(problems) - 1:,} more)" if len(problems) > 1 else ""
            parts.append(problems[0] + more)
        elif problems:
            parts.append(f"{len(problems):,} lines cannot be read")
        if content.state == "running":
            parts.append("its process still runs")
        self.totals.traces += 1
        self.totals.lost += dropped + len(problems)
        name = os.path.basename(str(header.get("argv0") or "")) or "python"
        self._out(f"pid {header.get('pid')} ({name}): {', '.join(parts)}")

    def _estimate(self, sources_left: Sequence[Source]) -> None:
        """Count what is left in files that were not come to, as far as there is time for it."""
        until = time.monotonic() + _ESTIMATE_S
        for source in sources_left:
            if time.monotonic() > until:
                self.totals.uncounted += 1
                continue
            try:
                content = self._shelf.read(source)
                position = self._positions.of(content.trace.header)
                if not position.complete:
                    found = parcels.outstanding(content, position, over=True, **self._limits)
                    self.totals.left += len(found[1])
            except Exception:  # it would have cost a line, had it been its turn
                continue

    def _trouble(self, path: str, error: object) -> None:
        text = str(error)
        if text not in self._said:
            self._said.add(text)
            self.totals.unreadable.append(path)
            self._say(text)
