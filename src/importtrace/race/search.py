"""`explore`: from a name to a proven failure, or to what was covered without one.

First what needs no threads (`orders`). From what that has shown, schedules that aim at rings of locks.
Then, if nothing failed, all schedules of pairs of entries up to a bound, and random ones for what is left
of the time.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from importtrace.race.errors import InputError, TimeOver
from importtrace.race.findings import BOUND, Options, Report
from importtrace.race.groups import groups
from importtrace.race.modules import Sources
from importtrace.race.orders import Orders
from importtrace.race.outcome import OK
from importtrace.race.proving import MOST_FINDINGS, by_interpreter, prove_all
from importtrace.race.runner import Job, Runner
from importtrace.race.scenario import Entry, Scenario, SetUp
from importtrace.race.strategies.directed import Directed
from importtrace.race.strategies.exhaustive import Exhaustive
from importtrace.race.strategies.pct import Pct

if TYPE_CHECKING:
    from typing import Any

    from importtrace.race.outcome import Result
    from importtrace.race.strategies import Strategy


LEAST_LIMIT_S = 3.0  # of one run, however fast its imports are: the machine may be busy
SEARCH_S = 30.0  # for interleavings, where no limit was given
MOST_GROUPS = 2_000  # of entries: beyond that, the likeliest are taken
_ACTIVE = 4


Progress = Callable[[str, int, int], None]


def explore(
    target: str,
    *,
    entries: Iterable[str] = (),
    threads: int = 2,
    path: Iterable[str] = (),
    python: str | None = None,
    time_limit_s: float | None = None,
    run_limit_s: float | None = None,
    seed: int | None = None,
    lines: bool = False,
    bound: int = BOUND,
    strategy: str = "auto",
    set_up: Iterable[SetUp] = (),
    keep_going: bool = False,
    orders_of_entries_only: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Searches; raises InputError for a target, an entry or an interpreter that is none.

    `time_limit_s` is for all of it, proofs too; without one, orders take as long as they take and
    interleavings `SEARCH_S`. Ctrl-C ends it with what was found by then (`Report.interrupted`).
    """
    exact = run_limit_s is not None
    if run_limit_s is None:
        run_limit_s = 10.0 if time_limit_s is None else max(0.5, min(10.0, time_limit_s / 4))
    options = Options(
        entries=tuple(Entry.parse(text) for text in entries),
        threads=threads,
        path=tuple(path),
        python=python,
        time_limit_s=time_limit_s,
        run_limit_s=run_limit_s,
        seed=seed,
        lines=lines,
        bound=bound,
        strategy=strategy,
        keep_going=keep_going,
        set_up=tuple(set_up),
        exact_limit=exact,
        entries_only=orders_of_entries_only,
    )
    with Runner(python) as runner:
        return Search(runner, target, options, progress or _silent).run()


def _silent(phase: str, done: int, total: int) -> None:
    pass


class Search:
    def __init__(self, runner: Runner, target: str, options: Options, progress: Progress) -> None:
        self._runner = runner
        self._options = options
        self._progress = progress
        self._target = Entry.parse(target)
        self._begin = time.monotonic()
        self.report = Report(target, threads=options.threads, bound=options.bound)
        seed = options.seed
        self.report.seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
        self.report.strict = bool(options.entries)
        self.report.path = options.path
        self.report.executable = options.python
        self._scenario = Scenario(
            (),
            path=options.path,
            set_up=options.set_up,
            lines=options.lines,
            run_limit_s=options.run_limit_s,
        )
        self._findings: list[Result] = []
        self._found: set[object] = set()
        self._plain: dict[tuple[Entry, ...], dict[object, str]] = {}
        self._side: Runner | None = None

    def run(self) -> Report:
        report = self.report
        report.python = self._runner.version
        limit = self._options.time_limit_s
        self._end = None if limit is None else self._begin + limit
        found = known_modules(self._runner, self._target, self._scenario)
        for entry in self._options.entries:
            known_modules(self._runner, entry, self._scenario)
        self._runner.until = self._end
        report.origin = found["origin"]
        self._modules: list[str] = found["modules"]
        report.modules = len(self._modules)
        self._tops = tuple(
            dict.fromkeys(
                name.partition(".")[0]
                for name in (self._target.module, *(e.module for e in self._options.entries))
            )
        )
        self._scenario = self._scenario.with_(watched=self._tops)
        self._files: dict[str, str] = found["files"]
        self._orders = Orders(self._runner, self._scenario, self._tops)
        named = [str(self._target), *map(str, self._options.entries)]
        modules = [] if self._options.entries_only else self._modules
        self._orders.plan(modules, self._options.entries, named)
        try:
            if self._options.entries:
                # What the user named comes first, threads too; then the rest of the target.
                self._orders.run_named(self._tick)
                self._run_interleavings()
                self._orders.run(self._tick)
            else:
                self._orders.run(self._tick)
                self._run_interleavings()
        except KeyboardInterrupt:
            report.interrupted = True
        except TimeOver:
            report.out_of_time = True
        finally:
            if self._side is not None:
                self._side.close()
        report.orders = self._orders.rows
        report.orders_total = self._orders.total
        report.schedules_run = self._runner.runs
        report.seconds = time.monotonic() - self._begin
        return report

    # orders --------------------------------------------------------------------------------

    def _tick(self) -> bool:
        self._progress("orders", self._orders.done, self._orders.total)
        return self._end is not None and time.monotonic() > self._end

    # interleavings -------------------------------------------------------------------------

    def _run_interleavings(self) -> None:
        if self._options.strategy == "orders" or self._options.threads < 2:
            return
        if self._options.entries and not any(row.outcome == OK for row in self._orders.rows):
            self.report.note("no order of the entries works in one thread: threads were not tried")
            return
        self._sources = Sources(self._orders.files | self._files)
        self._until = time.monotonic() + SEARCH_S if self._end is None else self._end
        wanted = self._options.strategy
        if not self._options.exact_limit:
            # What takes many times as long as it does alone hangs; no need to wait for all of the limit.
            usual = max(self._orders.fine.values(), default=1.0)
            limit = max(LEAST_LIMIT_S, 60 * usual)
            self._scenario = self._scenario.with_(
                run_limit_s=min(self._scenario.run_limit_s, limit)
            )
        try:
            if wanted in ("auto", "directed"):
                self._run_directed()
            if wanted in ("auto", "exhaustive") and not self._enough():
                self._run_exhaustive()
            if wanted == "random" or (
                wanted == "auto"
                and not self._enough()
                and not self.report.out_of_time
                and not self.report.complete
            ):
                self._run_random()
        except KeyboardInterrupt:
            self._prove(interrupted=True)
            raise
        except TimeOver:
            self._prove()
            raise
        self._prove()
        if self.report.interrupted:
            raise KeyboardInterrupt

    def _prove(self, *, interrupted: bool = False) -> None:
        prove_all(
            self._runner,
            self._scenario,
            self._findings,
            self.report,
            run_limit_s=self._options.run_limit_s,
            interrupted=interrupted,
            progress=self._progress,
        )

    def _enough(self) -> bool:
        if self._options.keep_going:
            return len(self._findings) >= 10 * MOST_FINDINGS
        return any(not by_interpreter(result) for result in self._findings) or (
            self.report.strict and bool(self._findings)
        )

    def _groups(self) -> Iterator[tuple[Entry, ...]]:
        fine = [name for name in self._modules if name in self._orders.fine]
        return groups(self._options.entries, fine, self._orders.wants, self._options.threads)

    def _run_directed(self) -> None:
        directed = Directed(
            self._orders.wants,
            self._scenario,
            self._options.threads,
            frozenset(self._options.entries),
        )
        self._drive(iter([directed]), "rings of locks")
        self.report.rings = directed.rings

    def _run_exhaustive(self) -> None:
        """With one switch for all groups of entries, then with two, and so on."""
        made: list[Exhaustive] = []
        bound = self._options.bound

        def narrow() -> Iterator[Strategy]:
            for group in itertools.islice(self._groups(), MOST_GROUPS):
                scenario = self._scenario.with_(entries=group)
                made.append(Exhaustive(scenario, min(1, bound), self._sources.reads, bound))
                yield made[-1]

        def widened(switches: int) -> Iterator[Strategy]:
            for strategy in made:
                strategy.widen(switches)
                yield strategy

        try:
            for switches in range(min(1, bound), bound + 1):
                self._drive(narrow() if switches <= 1 else widened(switches), "schedules")
                complete = sum(strategy.complete for strategy in made)
                self.report.covered.append((switches, complete))
                if self.report.out_of_time or self._enough():
                    break
        finally:
            self.report.groups = len(made)
            self.report.pruned = sum(strategy.pruned for strategy in made)

    def _run_random(self) -> None:
        groups = list(itertools.islice(self._groups(), 200))
        before = self._runner.runs
        rounds = itertools.count()

        def strategies() -> Iterator[Strategy]:
            while groups:
                seed = self.report.seed + next(rounds)
                for group in groups:
                    yield Pct(self._scenario.with_(entries=group), seed, 30, 20)

        try:
            self._drive(strategies(), "random schedules")
        finally:
            self.report.random_runs = self._runner.runs - before

    def _drive(self, strategies: Iterator[Strategy], phase: str) -> None:
        active: list[Strategy] = []
        out: dict[int, int] = {}
        stop = False

        def feed() -> Iterator[Job | None]:
            while not stop:
                while len(active) < _ACTIVE:
                    more = next(strategies, None)
                    if more is None:
                        break
                    active.append(more)
                    out[id(more)] = 0
                for strategy in list(active):
                    job = strategy.next()
                    if job is not None:
                        out[id(strategy)] += 1
                        yield Job(job.scenario, job.schedule, job.plan, steps=True, key=strategy)
                        break
                    if not out[id(strategy)]:
                        active.remove(strategy)
                        break
                else:
                    if not active:
                        return
                    yield None  # what comes next depends on a result that is not there yet

        runs = self._runner.run_many(feed())
        for count, (job, result) in enumerate(runs, start=1):
            strategy = job.key
            out[id(strategy)] -= 1
            strategy.told(job, result)
            if not result.ok:
                self._failed(job, result)
            self._progress(phase, count, 0)
            if time.monotonic() > self._until - (self._for_proofs_s() if self._findings else 0.0):
                self.report.out_of_time = True
                return
            if self._enough():
                stop = True
                return

    def _for_proofs_s(self) -> float:
        """Of a limited time, kept for proving what was found."""
        limit = self._options.time_limit_s
        return 0.0 if limit is None else min(5.0, limit / 4)

    def _failed(self, job: Job, result: Result) -> None:
        entries = job.schedule.entries if job.schedule is not None else job.scenario.entries
        if result.slow:
            self.report.note(f"not judged, {' and '.join(map(str, entries))}: {result.message}")
            return
        key = (result.signature, by_interpreter(result))
        if key in self._found or self._fails_alone(entries, result):
            return
        self._found.add(key)
        self._findings.append(result)

    def _fails_alone(self, entries: tuple[Entry, ...], result: Result) -> bool:
        """The entries fail so one after the other, too, in one order: not the interleaving's doing."""
        plain = self._plain.get(entries)
        if plain is None:
            if self._side is None:
                self._side = Runner(self._options.python, workers=1)
                self._side.until = self._end
            plain = self._plain[entries] = {}
            for order in itertools.permutations(range(len(entries))):
                told = tuple(entries[number] for number in order)
                found = self._side.run(self._scenario.with_(entries=told))
                if not found.ok:
                    plain[found.signature] = self._alone(told, found)
        if result.signature not in plain:
            return False
        self.report.note(plain[result.signature])
        return True

    def _alone(self, entries: tuple[Entry, ...], found: Result) -> str:
        """What to say of entries that fail one after the other, each in a thread of its own."""
        entry = found.first.entry if found.first is not None else ""
        if entry in self._orders.fine and str(entries[0]) in self._orders.fine:
            return (
                f"works in the main thread and fails in any other, no interleaving is needed: {entry}: "
                f"{found.message}"
            )
        return (
            f"fails one after the other, too: {' then '.join(map(str, entries))}: {found.message}"
        )


def known_modules(runner: Runner, entry: Entry, scenario: Scenario) -> dict[str, Any]:
    """`Runner.modules`, also of a module that is there only once its package has been imported (put into
    sys.modules by it, as `six.moves` is). Raises InputError where it is not there then, either."""
    module = entry.module
    try:
        return runner.modules(module, scenario)
    except InputError:
        top = module.partition(".")[0]
        if top == module:
            raise
        found = runner.modules(top, scenario)
        alone = scenario.with_(entries=(Entry(module),), threads=False)
        first = runner.run(alone).first
        if first is not None and first.type == "ModuleNotFoundError":
            raise
        return found | {"modules": [module], "files": {}}
