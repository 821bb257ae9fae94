"""Runs one program of the blind corpus, traced, in this fresh interpreter; prints what was said.

    python support_judge.py FOLDER ENTRY MODE

A program has three builtins of ours: `judge(label, exc)`, and for threads `go(gate)`, `hold(gate)` and
`blocked(thread)`, which returns once that thread waits for a module lock. Every wait is bounded.
"""

import builtins
import sys

SEEN = []
GATES = {}
FOLDER, ENTRY, MODE = sys.argv[1:4]


def judge(label, exc):
    SEEN.append((label, exc))


def _gate(name):
    import threading

    return GATES.setdefault(name, threading.Event())


def go(name):
    _gate(name).set()


def hold(name):
    if not _gate(name).wait(20):
        raise SystemError(f"gate {name} stayed shut")


def blocked(name):
    import _frozen_importlib
    import threading
    import time

    end = time.monotonic() + 20
    while time.monotonic() < end:
        for thread in threading.enumerate():
            if thread.name == name and _frozen_importlib._blocking_on.get(thread.ident):
                return
        time.sleep(0.001)
    raise SystemError(f"{name} never waited for a module lock")


def main():
    import importtrace

    path = f"{FOLDER}/{ENTRY}"
    with open(path, encoding="utf-8") as file:
        source = file.read()
    sys.path[0] = FOLDER
    sys.argv[:] = [path]
    here = sys.modules["__main__"]
    names = vars(here)
    own = dict(names)
    names.update(__file__=path, __spec__=None, __cached__=None, __doc__=None)
    code = compile(source, path, "exec", dont_inherit=True)
    builtins.judge, builtins.go, builtins.hold, builtins.blocked = judge, go, hold, blocked
    importtrace.install(mode=MODE)
    try:
        exec(code, names)
    except BaseException as exc:
        place = vars(BaseException)["__traceback__"]  # whatever its class does to attribute access
        place.__set__(exc, place.__get__(exc).tb_next)
        judge("main", exc)
        exc = None
    said = []
    for label, exc in SEEN:
        cause = importtrace.explain(exc)
        said.append(
            {
                "label": label,
                "type": type(exc).__name__,
                "message": BaseException.__str__(exc),
                "notes": list(vars(BaseException)["__dict__"].__get__(exc).get("__notes__", ())),
                "cause": None if cause is None else cause.to_dict(),
                "text": "" if cause is None else cause.text(),
            }
        )
    del own
    sys.path.pop(0)
    sys.stdout.write("\n@@" + ascii(said) + "\n")
    sys.stdout.flush()


main()
