"""One trace's spans that are still to be sent, in requests of a bounded size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from importtrace.exporters.otlp import CHUNK, readable
from importtrace.exporters.plan import plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from importtrace.exporters.plan import PlannedSpan
    from importtrace.shipping.courier import Courier
    from importtrace.shipping.positions import Position
    from importtrace.shipping.sources import Content


@dataclass(slots=True)
class Shipment:
    """What became of one trace: spans ``sent`` now, ``refused`` now, and ``left`` for later.

    ``unsampled``: the sampler of the OTEL_* variables wants none of it.
    """

    sent: int = 0
    refused: int = 0
    left: int = 0
    unsampled: bool = False


def outstanding(
    content: Content, position: Position, *, max_spans: int, long_wait_ms: int, over: bool
) -> tuple[list[PlannedSpan], set[int]]:
    """All spans of the trace, and the ids of those that are ready to be sent and were not accepted.

    ``over``: nothing will be added, so what had not ended never will.
    """
    spans = plan(content.trace, max_spans=max_spans, long_wait_ms=long_wait_ms)
    ready = content.started or over
    todo = {
        span.span_id
        for span in spans
        if span.span_id not in position.accepted
        and (over or (ready if span.id is None else span.finished and span.id not in content.open))
    }
    return spans, todo


def send(
    content: Content,
    spans: list[PlannedSpan],
    todo: set[int],
    position: Position,
    courier: Courier,
    shipment: Shipment,
) -> None:
    """Send what is in ``todo``, the root last, so that it says what was refused. Raises Stopped."""
    shipment.left = len(todo)
    pending: list[ReadableSpan] = []

    def accepted(part: Sequence[ReadableSpan]) -> None:
        ids = [span.context.span_id for span in part if span.context is not None]
        position.accept(ids)
        shipment.sent += len(ids)
        shipment.left -= len(ids)

    def flush() -> None:
        refused = courier.deliver(pending, accepted) if pending else []
        pending.clear()
        if refused:
            ids = [span.context.span_id for span in refused if span.context is not None]
            position.accept(ids, refused=len(ids))
            shipment.refused += len(ids)
            shipment.left -= len(ids)

    rejected_before = courier.rejected

    def losses() -> dict[str, Any]:
        flush()
        lost = position.refused + courier.rejected - rejected_before
        return {"python.import.refused": lost} if lost else {}

    any_made = False
    for planned, span in readable(content.trace, spans, losses=losses):
        any_made = True
        if planned.span_id in todo:
            pending.append(span)
            if len(pending) >= CHUNK:
                flush()
    flush()
    if not any_made:
        shipment.unsampled, shipment.left = True, 0
