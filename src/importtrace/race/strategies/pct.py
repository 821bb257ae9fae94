"""Random schedules that find a bug of depth d with a known probability (PCT).

Each thread has a priority, the highest that can goes on, and at d - 1 points drawn at random the thread there
falls below all others. A bug that needs d ordered events among k points and n threads is hit by one run with
a probability of at least 1 / (n * k ** (d - 1)). The seed is printed; the same seed draws the same schedules.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from importtrace.race.runner import Job

if TYPE_CHECKING:
    from importtrace.race.outcome import Result
    from importtrace.race.scenario import Scenario


DEPTH = 3


class Pct:
    name = "random"
    pruned = 0

    def __init__(self, scenario: Scenario, seed: int, points: int, runs: int) -> None:
        self._scenario = scenario
        self._random = random.Random(f"{seed}:{'+'.join(map(str, scenario.entries))}")
        self._points = max(2, points)
        self._left = runs

    def next(self) -> Job | None:
        if not self._left:
            return None
        self._left -= 1
        count = len(self._scenario.entries)
        priorities = list(range(100, 100 + count))
        self._random.shuffle(priorities)
        falls = [
            (self._random.randint(1, self._points), DEPTH - number) for number in range(1, DEPTH)
        ]
        return Job(self._scenario, plan=("priorities", priorities, falls), steps=True)

    def told(self, job: Job, result: Result) -> None:
        seen = sum(1 for step in result.steps if step[4])
        self._points = max(self._points, seen)
