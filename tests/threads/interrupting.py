"""A signal handler runs at a chosen point of an import, in a forked child. Prints JSON; run traced or not.

    interrupting.py raise|import points             the points there are: [[ours, where], …]
    interrupting.py raise|import NUMBER…            what happens with a handler at each of these

A point is where CPython looks for signals: the start of a function, the end of a call of a C function,
the end of a loop's turn. They are numbered as a trace function meets them, so that a handler comes at
exactly the same one again; what it does it does in the trace function, and the frame it came upon is
below it, as with a real one. `raise` is Ctrl-C, `import` a handler that imports.
"""

import _frozen_importlib
import dis
import gc
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

ran: list[tuple[str, str]] = []  # what the bodies tell

BODY = "import interrupting as w\nw.ran.append((__name__, 'begins'))\n{}\nw.ran.append((__name__, 'ends'))\n"
BODIES = {
    "outer.py": "import inner\nfrom pkg.sub import value\ntry: import bad\nexcept ZeroDivisionError: pass",
    "inner.py": "for x in range(2): len('a')",
    "pkg/__init__.py": "import pkg.other",
    "pkg/sub.py": "value = 1\ntry: import nowhere_else\nexcept ImportError: pass",
    "pkg/other.py": "import inner",
    "bad.py": "1 / 0",
    "by_signal.py": "import below_signal",
    "below_signal.py": "",
    "last.py": "import below_last",
    "below_last.py": "",
}
NAMES = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in BODIES}
CALLS = {"CALL", "CALL_FUNCTION_EX", "CALL_KW", "PRECALL", "JUMP_BACKWARD"}
# ours stand in for the first two, and have the third worked out earlier, and once more
REPLACED = ("_call_with_frames_removed", "_init_module_attrs", "cached")
# what these of ours call is importlib's own, or the program's
FORWARDS = ("_call_with_frames_removed", "acquire", "release", "wait")
LIMIT_S = 20


class Points:
    """Counts the points; at the chosen one of its kind (in a frame of ours, or not) it calls `handler`."""

    def __init__(self, chosen: tuple[bool, int] | None, handler) -> None:
        self.chosen = chosen
        self.handler = handler
        self.session = None
        self.muted = False  # whether tracing looked away when it came
        self.found: list[tuple[bool, str]] = []
        self.counts = {True: 0, False: 0}
        self.before: dict[object, str] = {}  # frame -> its last instruction
        self.within: set[object] = set()  # frames of ours, and what is called for us
        self.done = False

    def called(self, frame, event, argument):
        if frame.f_code.co_filename == __file__ or self.done:
            return None
        if frame.f_code.co_name == "cb":  # comes when the last reference to a lock is gone
            return None
        if frame.f_back in self.before:
            self.before[frame.f_back] = "a Python function"
        frame.f_trace_opcodes = True
        self.before[frame] = ""
        code = frame.f_code
        if (
            "/importtrace/" in code.co_filename
            or code.co_name in REPLACED
            or (frame.f_back in self.within and frame.f_back.f_code.co_name not in FORWARDS)
        ):
            self.within.add(frame)
        self.meet(frame, "start")
        return self.step

    def step(self, frame, event, argument):
        if event == "return":
            self.before.pop(frame, None)
            self.within.discard(frame)
        elif event == "opcode":
            last = self.before.get(frame)
            self.before[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if last in CALLS and self.before[frame] != "CALL":  # 3.11 has two parts of one
                self.meet(frame, frame.f_lasti)
        return None if self.done else self.step

    def meet(self, frame, where) -> None:
        code = frame.f_code
        ours = frame in self.within
        self.found.append(
            (ours, f"{os.path.basename(code.co_filename)} {code.co_qualname} {where}")
        )
        if self.chosen == (ours, self.counts[ours]):
            self.done = True
            sys.settrace(None)
            if self.session is not None:
                self.muted = bool(self.session._recorder.state().muted)
            self.handler()
        self.counts[ours] += 1


def held() -> list[str]:
    locks = [reference() for reference in list(_frozen_importlib._module_locks.values())]
    return [lock.name for lock in locks if lock is not None and lock.owner is not None]


def ctrl_c() -> None:
    raise KeyboardInterrupt("from a handler")


def imports() -> None:
    import by_signal

    ran.append((by_signal.__name__, "imported"))


def error_of(error: BaseException | None):
    if error is None:
        return None
    frames = [
        (os.path.basename(frame.filename), frame.name, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and "/importtrace/" not in frame.filename
        if frame.name not in REPLACED
    ]
    return type(error).__name__, str(error), frames, error_of(error.__context__)


def child(action: str, chosen: tuple[bool, int] | None, session) -> dict:
    points = Points(chosen, {"raise": ctrl_c, "import": imports}[action])
    points.session = session
    told: dict = {"error": None}
    gc.disable()  # it would come at other points each time
    sys.settrace(points.called)
    try:
        __import__("outer")
    except BaseException as error:
        sys.settrace(None)
        told["error"] = error_of(error)
    sys.settrace(None)
    told["points"] = points.found if chosen is None else points.counts[chosen[0]]
    told["muted"] = points.muted
    told["where"] = points.found[-1][1]
    told["held"] = held()
    told["ran"] = list(ran)
    told["there"] = sorted(NAMES & sys.modules.keys())
    del ran[:]
    __import__("outer")  # once more, as after Ctrl-C in a prompt
    __import__("last")

    told["later"] = [list(ran), sorted(NAMES & sys.modules.keys())]
    if session is not None:
        trace = session.trace()
        told["stopped"] = trace.header.get("stopped")
        names = {one.id: one.module for one in trace.records}
        told["loads"] = [
            (one.module, names.get(one.parent), one.outcome)
            for one in trace.records
            if one.kind == "load" and one.module in NAMES
        ]
    return told


def attempt(action: str, chosen: tuple[bool, int] | None, session, folder: Path) -> dict:
    found = folder / "found"
    found.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(LIMIT_S)
            found.write_text(json.dumps(child(action, chosen, session)))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    status = os.waitpid(pid, 0)[1]
    told = json.loads(found.read_text()) if found.exists() else {}
    return {"chosen": chosen, "status": status & 0x7F, **told}


def main(session, action: str, asked: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, body in BODIES.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(BODY.format(body))
        sys.path.insert(0, str(folder))
        for module in ("outer", "by_signal", "last"):
            __import__(module)  # caches of directories and the like
        if session is not None:
            session.trace()  # it imports
        for module in ("bad", "nowhere_at_all"):  # what failures take is loaded once
            try:
                __import__(module)
            except (ImportError, ZeroDivisionError):
                pass
        sys.settrace(lambda *arguments: None)  # 3.12 tells of no instruction the first time
        sys.settrace(None)
        for module in NAMES:
            sys.modules.pop(module, None)
        del ran[:]
        if asked == ["points"]:
            print(json.dumps([attempt(action, None, session, folder)]))
            return
        chosen = [(one[0] == "o", int(one[1:])) for one in asked]
        print(json.dumps([attempt(action, one, session, folder) for one in chosen]))
