"""CPython's own tests, traced and not, test by test: not one result may differ.

    python tools/cpython_tests.py python3.12 python3.13        # interpreters that are here
    python tools/cpython_tests.py --debian 3.15                # Debian's, by tools/interpreters.py
    python tools/cpython_tests.py python3.12 --mode auto --only test_import --only test_site
    python tools/cpython_tests.py python3.12 --write           # renews its rows in the page
    python tools/cpython_tests.py python3.12 --parts FILE --minutes 8    # goes on where it stopped

Each file runs twice untraced and once in each mode. A test whose two untraced runs differ proves
nothing and is counted as unsteady. Where a traced result is one that no untraced run gave, the file
runs again, traced and not, twice: what then never came untraced is a difference. A difference
is listed in cpython_tests.toml with the reason why it must be, or the exit code is 1.

Tracing is started as in production, by the start-up file of ``python -m importtrace.inject
--install``, in a copy of importtrace made before the first test. PYTHONPATH would miss the children that
tests start with ``-I`` or ``-E``, and is a variable that tests look at. The untraced runs have the same
files and variables and ``IMPORTTRACE=0``. The log is off: tests compare what their children write. So is
the watchdog: its thread is in every dump of all threads, and tests compare those.

Nothing of the system is written to: bubblewrap shows the interpreter a site-packages folder of ours and
a read-only rest. Where it is missing, one line says so.
"""

import argparse
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import interpreters  # noqa: E402
from cpython_tests_page import MODES, write  # noqa: E402
from cpython_tests_parts import Parts  # noqa: E402

ROOT = HERE.parent
WORKER = HERE / "cpython_tests_worker.py"
CHOICE = tomllib.loads((HERE / "cpython_tests.toml").read_text(encoding="utf-8"))
ABSENT = "traced absent"
AGAIN = 2  # times that a file is run again for a difference
# not asked for: a network, a display, sound, minutes of computing, gigabytes
RESOURCES = "subprocess"


@dataclass
class Ran:
    """One run of one file."""

    results: dict[str, str] = field(default_factory=dict)  # test -> outcome
    texts: dict[str, str] = field(default_factory=dict)  # test -> why it failed


@dataclass
class Compared:
    """One interpreter in one mode, all files."""

    tests: int
    unsteady: set[str]
    differ: dict[str, str] = field(default_factory=dict)  # test -> what was seen

    def add(self, other: "Compared") -> None:
        self.tests += other.tests
        self.unsteady |= other.unsteady
        self.differ |= other.differ


class Interpreter:
    """An interpreter, and how a program runs on it with a folder of ours as its site-packages."""

    def __init__(self, command: str, debian: Path | None, work: Path, source: Path) -> None:
        """``source``: the folder of the package importtrace, which is copied. Raises Unavailable
        where there is no such interpreter, or it came without its tests."""
        self._work = work
        self._command = command
        self._sandbox = ["bwrap", "--ro-bind", str(debian or "/"), "/", "--tmpfs", "/tmp"]
        if debian is None:
            path = shutil.which(command) or command
            told = _output(
                [path, "-c", "import sys; print(sys.executable); print(sys.base_prefix)"]
            )
            self._command, prefix = told.splitlines()
            for needed in (prefix, str(Path(self._command).parent.parent)):
                if needed.startswith("/tmp/"):
                    self._sandbox += ["--ro-bind", needed, needed]
        self._sandbox += ["--dev-bind", "/dev", "/dev", "--proc", "/proc", "--die-with-parent"]
        version, gil, target, found = json.loads(self._ask(_ABOUT))
        self.version = version if gil else version + "t"
        there = {name.removesuffix(".py") for name in found}
        self.files = [name for name in CHOICE["files"] if name in there]
        if debian is not None:  # bwrap makes no mount point in a read-only root
            (debian / target.lstrip("/")).mkdir(parents=True, exist_ok=True)
        site = work / "site"
        no_bytecode = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source / "importtrace", site / "importtrace", ignore=no_bytecode)
        self._ask(_PREPARE.format(site=str(site)))
        self._sandbox += ["--ro-bind", str(site), target]

    def _ask(self, code: str) -> str:
        bound = ("--bind", str(self._work), str(self._work))
        return _output(
            [*self._sandbox, *bound, self._command, "-c", code], _environment(self._work, None)
        )

    def run(self, file: str, mode: str | None, time_limit: int) -> Ran:
        """One file, in a process, a temporary folder and a process space of its own."""
        with tempfile.TemporaryDirectory(dir=self._work, ignore_cleanup_errors=True) as folder:
            work = Path(folder)
            worker = shutil.copy(WORKER, work)
            results = work / "results"
            command = [
                *(*self._sandbox, "--unshare-pid", "--bind", folder, folder, "--chdir", folder),
                *(self._command, str(worker), str(results), "-u", RESOURCES, "--fail-env-changed"),
                *("--timeout", str(time_limit), file),
            ]
            try:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    env=_environment(work, mode),
                    timeout=time_limit + 60,  # regrtest's own limit tells where it hung
                )
                code, output = f"exit code {done.returncode}", done.stdout
            except subprocess.TimeoutExpired as error:
                code, output = "time limit", str(error.stdout)
            lines = results.read_text().splitlines() if results.exists() else []
        return _read([json.loads(line) for line in lines], file, mode, code, output)


_ABOUT = """
import json, os, site, sys, test
gil = getattr(sys, "_is_gil_enabled", lambda: True)()
print(json.dumps([sys.version.split()[0], gil, site.getsitepackages()[0],
                  os.listdir(test.__path__[0])]))
"""
_PREPARE = """
import compileall, sys
sys.path.insert(0, {site!r})
from importtrace.inject import startup_file
startup_file.install({site!r})
compileall.compile_dir({site!r}, quiet=2)
"""


def _output(command: list[str], environment: dict[str, str] | None = None) -> str:
    """What a program prints. Raises Unavailable where it does not run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    except OSError as error:
        raise interpreters.Unavailable(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise interpreters.Unavailable(f"{command[-3]} cannot run CPython's tests: {last}")
    return done.stdout


def _read(lines: list[dict[str, Any]], file: str, mode: str | None, code: str, output: str) -> Ran:
    ran = Ran()
    end = None
    for one in lines:
        if "end" in one:
            end = one
            continue
        name = one["test"]
        while name in ran.results:  # a file may give one test twice
            name += "'"
        ran.results[name] = one["outcome"]
        if one["text"]:
            ran.texts[name] = one["text"]
    whole = f"{file} as a whole"
    failed = any(outcome in ("failed", "error") for outcome in ran.results.values())
    # 2 is regrtest's "tests failed", which is told test by test; 4 "no tests ran"
    fine = end is not None and (code in ("exit code 0", "exit code 4") or failed)
    ran.results[whole] = "ended" if fine else code
    if not fine:
        ran.texts[whole] = output[-3000:]
    if end is not None and (end["mode"] != mode or end["stopped"] is not None):
        ran.results[whole] = f"recorded in mode {end['mode']}, stopped: {end['stopped']}"
    return ran


def _environment(work: Path, mode: str | None) -> dict[str, str]:
    """Equal in length and kind, traced or not: tests measure that, too."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(work),
        "TMPDIR": str(work),
        "LANG": "C.UTF-8",
        "IMPORTTRACE": "0" if mode is None else "1",
        "IMPORTTRACE_MODE": mode or "auto",
        "IMPORTTRACE_LOG": "off",
        "IMPORTTRACE_SPANS": "off",
        "IMPORTTRACE_STALL_SECONDS": "0",
    }


# comparing ---------------------------------------------------------------------------------


def compare(
    one: Interpreter, file: str, modes: list[str], time_limit: int, parts: Parts
) -> "dict[str, Compared]":
    """What tracing changes in one file, by mode."""
    found = {}
    for mode in modes:
        known = parts.found(one.version, mode, file)
        if known is not None:
            found[mode] = Compared(known["tests"], set(known["unsteady"]), known["differ"])
    plain = Plain(parts.untraced(one.version, file))
    for _ in range(2 - plain.runs if len(found) < len(modes) else 0):
        plain.add(one.run(file, None, time_limit))
    for mode in modes:
        if mode in found:
            continue
        ran = one.run(file, mode, time_limit)
        odd = [test for test in plain.tests | set(ran.results) if not plain.gave(test, ran)]
        again = []
        for _ in range(AGAIN if odd else 0):
            plain.add(one.run(file, None, time_limit))
            again.append(one.run(file, mode, time_limit))
        found[mode] = Compared(len(plain.tests), plain.unsteady())
        for test in odd:
            if all(plain.gave(test, more) for more in again):
                found[mode].unsteady.add(test)  # once, not again
            else:
                found[mode].differ[test] = plain.told(test, [ran, *again])
        with _keeping:
            parts.put_untraced(one.version, file, plain.outcomes)
            parts.put(
                *(one.version, mode, file),
                tests=found[mode].tests,
                unsteady=sorted(found[mode].unsteady),
                differ=found[mode].differ,
            )
    return found


_keeping = threading.Lock()


class Plain:
    """The untraced runs of one file."""

    def __init__(self, outcomes: list[dict[str, str]]) -> None:
        self.outcomes = list(outcomes)  # test -> outcome, of each run
        self.tests: set[str] = {test for one in outcomes for test in one}

    @property
    def runs(self) -> int:
        return len(self.outcomes)

    def add(self, ran: Ran) -> None:
        self.outcomes.append(ran.results)
        self.tests |= set(ran.results)

    def _outcomes(self, test: str) -> set[str]:
        return {one.get(test, "absent") for one in self.outcomes}

    def unsteady(self) -> set[str]:
        return {test for test in self.tests if len(self._outcomes(test)) > 1}

    def gave(self, test: str, ran: Ran) -> bool:
        """Whether an untraced run had the result that this run has."""
        return ran.results.get(test, "absent") in self._outcomes(test)

    def told(self, test: str, traced: list[Ran]) -> str:
        outcomes = ", ".join(ran.results.get(test, "absent") for ran in traced)
        why = next((ran.texts[test] for ran in traced if test in ran.texts), "")
        told = f"traced {outcomes}; untraced {' or '.join(sorted(self._outcomes(test)))}"
        return f"{told}\n{why}".rstrip()


def excused(test: str, mode: str) -> bool:
    return any(
        one["test"] == test and mode in one.get("modes", MODES) for one in CHOICE["exceptions"]
    )


# the command -------------------------------------------------------------------------------


def check(
    one: Interpreter, options: argparse.Namespace, parts: Parts
) -> "dict[tuple[str, str], list[str]]":
    """All files of one interpreter; tells what differs and returns its rows; none if time was up."""
    files = [file for file in one.files if not options.only or file in options.only]
    modes = options.mode or list(MODES)
    total = {mode: Compared(0, set()) for mode in modes}
    left = []

    def work(file: str) -> dict[str, Compared] | None:
        known = all(parts.found(one.version, mode, file) for mode in modes)
        if not known and time.monotonic() > options.deadline:
            left.append(file)
            return None
        return compare(one, file, modes, options.time_limit, parts)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = {pool.submit(work, file): file for file in files}
        for job in concurrent.futures.as_completed(jobs):
            for mode, found in (job.result() or {}).items():
                total[mode].add(found)
                bad = {test: text for test, text in found.differ.items() if not excused(test, mode)}
                said = f"{found.tests} tests, {len(bad)} differ, {len(found.unsteady)} unsteady"
                print(f"{one.version} {mode} {jobs[job]}: {said}", flush=True)
                crashed = f"{jobs[job]} as a whole" in bad
                for test, text in sorted(bad.items()):
                    if crashed and text.startswith(ABSENT):
                        continue  # what did not run, because the file did not end
                    print(f"  DIFFERS {test}: " + text.replace("\n", "\n    "), flush=True)
                for test in sorted(found.unsteady):
                    print(f"  unsteady {test}", flush=True)
    if left:
        print(f"{one.version}: time is up; not yet done: {', '.join(sorted(left))}", flush=True)
        return {}
    return {
        (one.version, mode): [
            *(one.version, mode, str(len(files)), str(found.tests)),
            str(found.tests - len(found.differ) - len(found.unsteady)),
            *(str(len(found.unsteady)), str(len(found.differ))),
        ]
        for mode, found in total.items()
        if all(excused(test, mode) for test in found.differ)
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("python", nargs="*", help="interpreters that are here")
    parser.add_argument("--debian", action="append", choices=interpreters.VERSIONS, default=[])
    parser.add_argument("--mode", action="append", choices=MODES, help="all, if none is given")
    parser.add_argument("--only", action="append", metavar="FILE", help="not all files")
    parser.add_argument("--jobs", type=int, default=2, help="files at a time (2)")
    parser.add_argument("--time-limit", type=int, default=300, help="seconds for one file (300)")
    parser.add_argument("--parts", type=Path, help="file that keeps results, to go on with later")
    parser.add_argument("--minutes", type=float, help="begin no file of tests after that")
    parser.add_argument("--source", type=Path, default=ROOT / "src", help="folder of importtrace")
    parser.add_argument("--write", action="store_true", help="renew the rows in the page")
    options = parser.parse_args()
    options.deadline = time.monotonic() + 60 * (1e6 if options.minutes is None else options.minutes)
    if options.minutes is not None and options.parts is None:
        parser.error("--minutes needs --parts FILE, where the results are kept")
    if not options.python and not options.debian:
        parser.error("which interpreter? python3.12, or --debian 3.15")
    if options.write and options.only:
        parser.error("--write is for all files, without --only")
    unknown = set(options.only or ()) - set(CHOICE["files"])
    if unknown:
        parser.error(f"{sorted(unknown)[0]} is not among the files of cpython_tests.toml")
    asked = [(name, None) for name in options.python]
    asked += [(f"/usr/bin/python{version}", interpreters.FOLDER) for version in options.debian]
    good = True
    for command, folder in asked:
        with tempfile.TemporaryDirectory(prefix="ict", ignore_cleanup_errors=True) as work:
            try:
                interpreters.check()
                if folder is not None:
                    interpreters.make_root(folder)
                one = Interpreter(command, folder and folder / "root", Path(work), options.source)
            except interpreters.Unavailable as reason:
                print(reason, file=sys.stderr)
                return 2
            found = check(one, options, Parts(options.parts, options.source))
        good = good and len(found) == len(options.mode or MODES)
        if options.write and found:
            write(found, CHOICE["exceptions"])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
