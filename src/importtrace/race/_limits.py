"""How long a run may take: the child asks that of itself, the controlling process of a silent child. Pure.

Standard-library-free, like all of the child's files.
"""

MOST_LIMITS = 2  # a run that still begins bodies is given so many times its limit


def later(
    begin: float, now: float, limit_s: float, got_on: float, held_back_s: float
) -> tuple[float, bool]:
    """(the time until which a run may go on, whether it is getting on); not after `now`: it is over.

    What it could not do because others had the processors does not count; while bodies begin (`got_on`:
    when the last one did) it is slow, not hung, and gets up to `MOST_LIMITS` times its limit.
    """
    held_back_s = min(held_back_s, 10 * limit_s)
    spent = max(now - begin, 0.001)
    stretch = spent / max(spent - held_back_s, spent / 10)
    silence_s = limit_s / 2 * stretch
    until = begin + held_back_s + limit_s
    if got_on > begin:
        until = max(until, min(got_on + silence_s, until + (MOST_LIMITS - 1) * limit_s))
    return until, got_on > begin and now - got_on < silence_s
