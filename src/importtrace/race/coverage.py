"""What a search has run, in numbers; never "safe"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from importtrace.race.orders import ALWAYS, UNTRIED

if TYPE_CHECKING:
    from importtrace.race.findings import Report


def coverage(report: Report) -> str:
    parts = []
    fine = sum(row.outcome == "ok" for row in report.orders)
    if len(report.orders) < report.orders_total:
        parts.append(f"{len(report.orders)} of {report.orders_total} orders in one thread")
    else:
        parts.append(f"{_all(len(report.orders), fine)} in one thread")
    if report.rings:
        parts.append(f"{_count(report.rings, 'ring')} of locks walked into on purpose")
    if report.groups:
        what = "pair" if report.threads == 2 else "group"
        best = [(switches, count) for switches, count in report.covered if count]
        said = "; ".join(
            f"all schedules with {_up_to(switches)} of "
            + (f"{count} of " if count < report.groups else "")
            + _count(report.groups, what)
            + " of entries"
            for switches, count in _telling(best)
        )
        if not said:
            said = f"a part of the schedules of {_count(report.groups, what)} of entries"
        if report.pruned:
            said += f" ({report.pruned} more cannot differ)"
        parts.append(said)
    if report.random_runs:
        parts.append(f"{_count(report.random_runs, 'random schedule')} with --seed {report.seed}")
    end = f"{_count(report.schedules_run, 'run')} in {report.seconds:.1f} s"
    if report.interrupted:
        end += "; interrupted, so this is a part"
    elif report.out_of_time:
        end += "; the time was over, --time-limit gives more"
    found = "no failure in " if not report.failed and not report.proofs else ""
    if found and any(row.judged in (ALWAYS, UNTRIED) for row in report.orders):
        found = "no race and no order failure in "
    return f"{found}{', '.join(parts)}; {end}."


def _all(orders: int, fine: int) -> str:
    if orders == 1:
        return f"the only order, which {'works' if fine else 'fails'},"
    return (
        f"all {orders} orders, of which {fine} work," if fine < orders else f"all {orders} orders"
    )


def _up_to(switches: int) -> str:
    return f"up to {switches} switches" if switches > 1 else f"up to {_count(switches, 'switch')}"


def _telling(covered: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without those that a wider one says, too."""
    return [
        (switches, count)
        for number, (switches, count) in enumerate(covered)
        if not any(later >= count for _, later in covered[number + 1 :])
    ]


def _count(number: int, what: str) -> str:
    plural = "es" if what.endswith("ch") else "s"
    return f"{number} {what}" if number == 1 else f"{number} {what}{plural}"
