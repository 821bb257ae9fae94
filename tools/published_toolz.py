"""The race that `importtrace reproduce toolz` reports, without importtrace: plain Python and two gates.

    python tools/published_toolz.py     # where toolz 1.0.0 is installed

Thread 1 runs `import toolz`, thread 2 `import toolz._signatures`. A trace function holds thread 1 where
`toolz.functoolz` is about to import `_signatures`, until thread 2 waits for `functoolz`; and thread 2
where its wait is over, until thread 1 is through. Both places are where a thread may lose its turn to
another one. Prints what thread 1 gets; exit code 1 where that is an error, 0 where it is none.
"""

import linecache  # here, so that it is not loaded in the middle of the threads' imports
import sys
import threading
import time
from types import FrameType
from typing import Any

PATIENCE_S = 10.0
asked = threading.Event()  # thread 1 is about to import _signatures
over = threading.Event()  # thread 1 is through
outcome = ["no error"]


def until_blocked(thread: threading.Thread) -> None:
    """`thread` has begun the body of _signatures, and waits for a module's lock."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        frame = sys._current_frames().get(thread.ident or 0)
        if "toolz._signatures" in sys.modules and frame is not None:
            if frame.f_code.co_name == "acquire" and "importlib" in frame.f_code.co_filename:
                return
        time.sleep(0.001)
    raise SystemExit("published_toolz.py: thread 2 did not come to wait; is this toolz 1.0.0?")


def hold_first(frame: FrameType, event: str, argument: Any) -> Any:
    if frame.f_globals.get("__name__") == "toolz.functoolz" and frame.f_code.co_name == "<module>":
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and line.startswith("from . import _signatures"):
            asked.set()
            until_blocked(second)
        return hold_first
    return hold_first if event == "call" and frame.f_code.co_name == "<module>" else None


def hold_second(frame: FrameType, event: str, argument: Any) -> Any:
    if frame.f_globals.get("__name__") == "toolz._signatures":
        if event == "line" and "is_partial_args" in frame.f_globals:
            over.wait(PATIENCE_S)
            return None
        return hold_second
    return hold_second if event == "call" and frame.f_code.co_name == "<module>" else None


def run_first() -> None:
    sys.settrace(hold_first)
    try:
        import toolz  # noqa: F401
    except Exception as error:
        outcome[0] = f"{type(error).__name__}: {error}"
    finally:
        sys.settrace(None)
        over.set()


def run_second() -> None:
    asked.wait(PATIENCE_S)
    sys.settrace(hold_second)
    try:
        import toolz._signatures  # noqa: F401
    except Exception as error:
        print(f"thread 2: {type(error).__name__}: {error}")
    finally:
        sys.settrace(None)


first = threading.Thread(target=run_first)
second = threading.Thread(target=run_second)

if __name__ == "__main__":
    second.start()
    first.start()
    first.join(3 * PATIENCE_S)
    second.join(3 * PATIENCE_S)
    print(f"thread 1: {outcome[0]}")
    sys.exit(outcome[0] != "no error")
