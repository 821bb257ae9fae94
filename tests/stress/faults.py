"""Makes our own code raise inside the program's imports, and says whether the program noticed.

    python tests/stress/faults.py --runs 1000 [--seed N] [--mode auto] [--two]
    python tests/stress/faults.py --in-turn            # each line of ours that runs, one by one
    python tests/stress/faults.py --at 1234 --error KeyError --seed 0    # one run again

Each run is a process forked from a warm one: it installs the tracing, does what fault_program.py
does, and uninstalls. A trace function (`sys.settrace`, instruction by instruction; on 3.12 line by
line) counts those of ours and raises at the chosen one: nothing in the product knows of it. What the
program saw, every exception with its context and traceback among it, must equal what it saw without
tracing; stderr has at most one line; after `uninstall()` every object is what it was.
"""

from __future__ import annotations

import argparse
import builtins
import dis
import json
import linecache
import os
import random
import re
import signal
import sys
import tempfile
import tokenize  # noqa: F401  linecache would import it in the middle of a run
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import fault_program

import importtrace.session

PACKAGE = os.path.dirname(importtrace.__file__) + os.sep
BOOTSTRAP = "<frozen importlib._bootstrap>"
LIMIT_S = 30
ERRORS = ("ValueError", "AttributeError", "KeyError", "ImportError", "RuntimeError", "OSError",
          "AssertionError", "StopIteration", "ZeroDivisionError", "MemoryError", "RecursionError",
          "in C")  # fmt: skip

# An instruction that cannot raise is no place for a fault: only a signal can come there.
HARMLESS = frozenset(
    number
    for name, number in dis.opmap.items()
    if name in {
        "NOP", "RESUME", "CACHE", "POP_TOP", "PUSH_NULL", "COPY", "SWAP", "LOAD_FAST", "STORE_FAST",
        "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE", "PUSH_EXC_INFO", "POP_EXCEPT", "IS_OP",
        "COPY_FREE_VARS", "MAKE_CELL", "LOAD_CLOSURE", "EXTENDED_ARG", "KW_NAMES", "PRECALL",
        "LOAD_DEREF", "STORE_DEREF", "LOAD_FAST_LOAD_FAST", "STORE_FAST_STORE_FAST",
        "STORE_FAST_LOAD_FAST", "LOAD_FAST_AND_CLEAR", "LOAD_FAST_CHECK", "END_FOR", "TO_BOOL",
        "CHECK_EXC_MATCH", "RERAISE", "RAISE_VARARGS", "DELETE_FAST", "UNARY_NOT", "CONTAINS_OP",
    } or "JUMP" in name
)  # fmt: skip

# The exception must look as if our own code had raised it: `FailOpen.ours` asks whose frame it was.
_RAISE = "def fault(kind):\n    raise kind('a fault of ours')\n"
_names: dict[str, Any] = {"__name__": "importtrace._fault"}
exec(compile(_RAISE, PACKAGE + "_fault.py", "exec"), _names)
raise_ours = _names["fault"]


# "function: line" outside of any `try` of ours, and why no fault of ours can come from there.
CANNOT = {
    r"^(acquire|wait|release|start): .*\boriginal\(": "the call that was there without us",
    r"^acquire: return wait\(": "`wait` looks after itself; `_getframe(1)`: a function has a caller",
    r"^acquire: (if owner is None and type\(error\) is deadlock:|refused\()": (
        "`type` of one argument; `refused` looks after itself, and is no deeper than what has just failed"
    ),
    # Where memory is refused, what importlib does next is refused, too, and no lock is taken yet.
    r"^acquire: begin = clock\(\)$": "a C function without arguments",
    r"^acquire: owner = self\.owner$": "importlib's `__init__` sets it",
    r"^acquire: if owner is not None and owner != ": "importlib asks the same thing next",
    r"^wait: (if state is not None:|state\.waiting = None)$": "a slot of a class of ours",
    # `leave` is called no deeper than the call that has just failed was
    r"^leave: |: leave\(error\)$": "the slot of every exception, past its class",
    r"^acquire: (if error\.__traceback__ is not None:|error\.__traceback__ = )": "`leave`, written out",
    r": except (BaseException as \w+|LIMITS|limits|RecursionError):$": "a name of ours or a builtin",
    r"^__set__: (if spec\.__class__ is|(spec\.__dict__|dict_of\(spec\))\[_FLAG\] = value$)": (
        "the store that importlib asked for"
    ),
}
FORWARDS = ("CALL_FUNCTION_EX", "DICT_MERGE", "BUILD_MAP")  # `return f(*args, **kwds)`
_CANNOT = re.compile("|".join(CANNOT))


# 3.12.1 crashes, without us too, when a trace function raises in one thread while others have their
# instructions traced: `sys_trace_instruction_func` calls a `c_tracefunc` that is NULL.
INSTRUCTIONS = sys.version_info[:2] != (3, 12)


def is_analysis(code: Any) -> bool:
    rest = code.co_filename[len(PACKAGE) :]
    return code.co_filename != BOOTSTRAP and rest.startswith(("analysis", "_facts", "_files"))


def by_instruction(code: Any) -> bool:
    """The analysis runs guarded as a whole: line by line is fine enough there."""
    return INSTRUCTIONS and not is_analysis(code)


def is_harmless(code: Any, at: int) -> bool:
    """Whether the rest of the line at this instruction has none that can raise."""
    instructions, line = code.co_code, None
    for begin, end, number in code.co_lines():
        if line is None and begin <= at < end:
            line, begin = number, at
        if line is not None:
            if number != line:
                break
            if not HARMLESS.issuperset(instructions[begin:end:2]):
                return False
    return True


def is_unguarded(code: Any, at: int) -> bool:
    """What stands outside of any `try` in this stand-in: `type(spec)`, which cannot fail; importlib's own
    property, which `original` reads too; and the call of `original`."""
    table = dis._parse_exception_table(code)  # type: ignore[attr-defined]
    return code.co_name == "_init_module_attrs" and not any(
        one.start <= at < one.end for one in table
    )


class Injector:
    """Counts the instructions of ours; at those numbered in `at` it raises."""

    def __init__(self, at: dict[int, str], lines: bool = False) -> None:
        self.at = at
        self.count = 0
        self.hit: list[str] = []
        self.last = max(at, default=None)
        # (file, line) -> numbers of its first executions
        self.hot: dict[tuple[str, int], list[int]] = {}
        self.seen: dict[tuple[str, int], list[int]] | None = {} if lines else None
        self._ours: dict[Any, bytes | None] = {}
        self._cannot: dict[tuple[Any, int], bool] = {}
        self._off = False

    def start(self) -> None:
        import threading

        threading.settrace(self.called)
        sys.settrace(self.called)

    def stop(self) -> None:
        import threading

        self._off = True
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]

    def is_ours(self, code: Any) -> bytes | None:
        """The instructions of a function of ours; None for another's."""
        if code not in self._ours:
            name = code.co_filename
            # a stand-in has importlib's file; what is ours reaches it through its closure
            ours = name.startswith(PACKAGE) or (name == BOOTSTRAP and "ours" in code.co_freevars)
            self._ours[code] = code.co_code if ours else None
        return self._ours[code]

    def called(self, frame: Any, event: str, argument: Any) -> Any:
        if self._off or self.is_ours(frame.f_code) is None:
            return None
        frame.f_trace_opcodes = by_instruction(frame.f_code)
        return Local(self)

    def step(self, frame: Any) -> str | None:
        """Counts; the kind of fault that is due here, if one is."""
        code = frame.f_code
        if frame.f_trace_opcodes and self._ours[code][frame.f_lasti] in HARMLESS:  # type: ignore[index]
            return None
        if self.cannot(code, frame):
            return None
        self.count += 1
        if self.last is not None and self.count > self.last:
            self._off = True  # `stop` comes at the end, from the thread that started it
            return None
        if self.seen is not None:
            lines = self.seen if is_analysis(code) else self.hot
            numbers = lines.setdefault((code.co_filename, frame.f_lineno), [])
            if len(numbers) < 12:
                numbers.append(self.count)
        kind = self.at.get(self.count)
        if kind is not None:
            name = code.co_filename.rpartition("importtrace")[2]
            self.hit.append(f"{name}:{frame.f_lineno} {code.co_qualname} +{frame.f_lasti} {kind}")
        return kind

    def cannot(self, code: Any, frame: Any) -> bool:
        """Whether this line is one of `CANNOT`."""
        key = code, frame.f_lasti
        known = self._cannot.get(key)
        if known is None:
            line, name = frame.f_lineno, code.co_filename
            if name == BOOTSTRAP:  # a stand-in: all of it stands on one line of importlib's
                forwards = dis.opname[self._ours[code][frame.f_lasti]] in FORWARDS  # type: ignore[index]
                known = forwards or not INSTRUCTIONS or is_unguarded(code, frame.f_lasti)
            else:
                text = f"{code.co_name}: {linecache.getline(name, line).strip()}"
                known = bool(_CANNOT.search(text))
                if not INSTRUCTIONS and not is_analysis(code):
                    known = known or is_harmless(code, frame.f_lasti)
            self._cannot[key] = known
        return known

    def following(self, frame: Any) -> int | None:
        """The instruction after this one; None where the flow may turn."""
        code: bytes = self._ours[frame.f_code]  # type: ignore[assignment]
        if not frame.f_trace_opcodes or code[frame.f_lasti] in dis.hasjrel:
            return None
        for at in range(frame.f_lasti + 2, len(code), 2):
            if code[at] != dis.opmap["CACHE"]:
                return code[at]
        return None


class Local:
    """The trace function of one frame. CPython drops it, and all tracing, when it raises; what is
    called then starts the tracing again, for a fault among what runs because of the first."""

    def __init__(self, injector: Injector) -> None:
        self.injector = injector
        self.raised: Any = None

    def __call__(self, frame: Any, event: str, argument: Any) -> Any:
        if self.injector._off:
            return None
        if event != ("opcode" if frame.f_trace_opcodes else "line"):
            return self
        kind = self.injector.step(frame)
        if kind is None:
            return self
        self.raised = frame
        if kind == "in C":
            # As the trace function of the next instruction, which must be one that may raise:
            # AttributeError, and the innermost frame of the traceback is our own function's.
            following = self.injector.following(frame)
            if following is not None and following not in HARMLESS:
                return setattr
            kind = "AttributeError"
        raise_ours(getattr(builtins, kind))
        return self

    def __del__(self) -> None:
        if self.raised is not None and not self.injector._off:
            sys.settrace(self.injector.called)
            frame = self.raised
            while frame is not None:
                if self.injector.is_ours(frame.f_code) is not None:
                    frame.f_trace = Local(self.injector)
                    frame.f_trace_opcodes = by_instruction(frame.f_code)
                frame = frame.f_back


def child(folder: Path, mode: str | None, injector: Injector | None, out: int) -> None:
    """One run: what the program saw, and what is left behind, to the file `out`."""
    fault_program.write(folder)
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    before = fault_program.import_machinery()
    session = None
    if mode is not None:
        session = importtrace.session.install(mode=mode, log="off", spans="off", stall_seconds=0)
    if injector is not None:
        injector.start()
    done = []
    for name, step in fault_program.steps(folder):
        done.append([name, fault_program.outcome(step)])
    if injector is not None:
        injector.stop()
    told: dict[str, Any] = {"steps": done}
    if session is not None:
        told["recorded"] = len(session._recorder.log)
        session.uninstall()
    after = fault_program.import_machinery()
    told["changed"] = sorted(
        name for name in before.keys() | after.keys() if before.get(name) is not after.get(name)
    )
    told["held"] = fault_program.held_locks()
    told["modules"] = [name for name in sys.modules if not name.startswith("importtrace")]
    if injector is not None:
        told["count"] = injector.count
        told["hit"] = injector.hit
        if injector.seen is not None:
            told["seen"] = sorted(injector.seen.values())
            told["hot"] = sorted(injector.hot.values())
    os.write(out, json.dumps(told).encode())


def run(mode: str | None, injector: Injector | None) -> dict[str, Any]:
    """A forked process that does `child`; its findings, its stderr and how it ended."""
    with tempfile.TemporaryDirectory(prefix="importtrace-fault-") as name:
        folder = Path(name) / "program"
        folder.mkdir()
        found, errors = Path(name) / "found", Path(name) / "stderr"
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            try:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(LIMIT_S)
                os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
                out = os.open(found, os.O_WRONLY | os.O_CREAT)
                child(folder, mode, injector, out)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        status = os.waitpid(pid, 0)[1]
        text = found.read_text() if found.exists() else ""
        told: dict[str, Any] = json.loads(text) if text else {}
        told["stderr"] = errors.read_text(errors="replace").replace(name, "…")
        told["signal"] = status & 0x7F
        if "steps" in told:
            told["steps"] = json.loads(json.dumps(told["steps"]).replace(name, "…"))
        return told


def differences(plain: dict[str, Any], traced: dict[str, Any]) -> list[str]:
    """What the program would have noticed; empty if nothing."""
    found = []
    if traced["signal"]:
        found.append(f"ended by signal {traced['signal']}")
    for (name, expected), (_, seen) in zip(plain["steps"], traced.get("steps", ()), strict=False):
        if expected != seen:
            found.append(f"{name}: {json.dumps(seen)} instead of {json.dumps(expected)}")
    if len(traced.get("steps", ())) != len(plain["steps"]):
        found.append("did not run to its end")
    for key in ("changed", "held"):
        if traced.get(key):
            found.append(f"{key}: {', '.join(traced[key])}")
    if sorted(traced.get("modules", ())) != sorted(plain["modules"]):
        odd = set(traced.get("modules", ())) ^ set(plain["modules"])
        found.append(f"sys.modules differs: {', '.join(sorted(odd))}")
    lines = traced["stderr"].splitlines()
    if len(lines) > 1 or not all(
        line.startswith("importtrace: tracing stopped, ") for line in lines
    ):
        found.append(f"stderr: {traced['stderr']}")
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--mode", default="auto", choices=("auto", "probes", "finder"))
    parser.add_argument("--two", action="store_true", help="a second fault soon after the first")
    parser.add_argument("--in-turn", action="store_true", help="each line of ours, one by one")
    parser.add_argument("--at", help="numbers of instructions, by comma")
    parser.add_argument("--error", choices=ERRORS, default="ValueError")
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    choose = random.Random(seed)
    print(f"seed {seed}, mode {given.mode}, Python {sys.version.split()[0]}", flush=True)
    plain = run(None, None)
    whole = run(given.mode, Injector({}, lines=True))
    trouble = differences(plain, whole)
    if trouble:
        print("without any fault:", *trouble, sep="\n  ")
        return 1
    print(
        f"{whole['count']} instructions of ours, {len(whole['hot'])} lines on the import path, "
        f"{len(whole['seen'])} of the analysis",
        flush=True,
    )
    plans: list[dict[int, str]] = []
    if given.at:
        plans.append({int(number): given.error for number in given.at.split(",")})
    elif given.in_turn:
        plans += [{numbers[0]: choose.choice(ERRORS)} for numbers in whole["hot"] + whole["seen"]]
    else:
        for _ in range(given.runs):
            lines = whole["hot"] if choose.random() < 0.8 else whole["seen"]
            at = choose.choice(choose.choice(lines)) + choose.randrange(3)
            plan = {at: choose.choice(ERRORS)}
            if given.two:
                plan[at + int(choose.expovariate(1 / 60)) + 1] = choose.choice(ERRORS)
            plans.append(plan)
    bad = hit = stopped = 0
    for plan in plans:
        traced = run(given.mode, Injector(plan))
        hit += bool(traced.get("hit"))
        stopped += bool(traced["stderr"])
        trouble = differences(plain, traced)
        if trouble:
            bad += 1
            print(f"--at {','.join(map(str, plan))} {plan} {traced.get('hit')}")
            print(*("  " + one for one in trouble), sep="\n", flush=True)
    print(
        f"{len(plans)} runs, {hit} with a fault, {stopped} stopped tracing, {bad} changed outcomes"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
