"""Imports while CPython's allocators refuse; prints what became of each try, as JSON. Run traced or not.

    starving.py FIRST-ALLOCATION... : each number is tried with each width, in a forked child

A try: the body of `outer` says that after N more allocations the next ones fail, and imports `inner`,
which imports `below`; then memory is back, and `last` is imported. A child tells: what the import gave,
locks still held, why tracing stopped, and from its trace the parents of `last` and of what it imports.
"""

import _frozen_importlib
import _testcapi
import builtins
import faulthandler
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

BODIES = {
    "outer": "starve()\nimport inner\n",
    "inner": "import below\n",
    "below": "",
    "last": "import below\n",
}
WIDTHS = (1, 3, 10_000)
KILLED_AFTER_S = 20


def held() -> list[str]:
    """Modules whose lock somebody holds."""
    locks = [reference() for reference in list(_frozen_importlib._module_locks.values())]
    return [lock.name for lock in locks if lock is not None and lock.owner is not None]


def forget() -> None:
    for name in BODIES:
        sys.modules.pop(name, None)


def child(after: int, width: int, session, found: Path) -> dict:
    forget()
    start, end = _testcapi.set_nomemory, _testcapi.remove_mem_hooks
    stop = after + width
    builtins.starve = lambda: start(after, stop)
    try:
        import outer

        end()
        outcome = f"{outer.__name__} imported"
    except BaseException as error:
        end()
        outcome = type(error).__name__
    found.write_text('{"later": true}')  # what dies now, dies of what happened before
    builtins.starve = lambda: None
    told = {"outcome": outcome, "held": held()}
    forget()
    import last

    del last
    if session is not None:
        trace = session.trace()
        told["stopped"] = trace.header.get("stopped")
        names = {one.id: one.module for one in trace.records}
        later = [one for one in trace.records if one.module in BODIES][-2:]
        told["last"] = [[one.module, names.get(one.parent), one.outcome] for one in later]
    return told


def attempt(after: int, width: int, session, folder: Path) -> dict:
    """A child's findings; `died` is the signal that ended it, `stack` what faulthandler then wrote,
    `later`: that memory was back already."""
    found, errors = folder / "found", folder / "errors"
    found.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            faulthandler.enable(2)
            signal.alarm(KILLED_AFTER_S)
            found.write_text(json.dumps(child(after, width, session, found)))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    status = os.waitpid(pid, 0)[1]
    told = json.loads(found.read_text()) if found.exists() and found.stat().st_size else {}
    text = errors.read_text(errors="replace")
    if status or not told:
        told |= {"died": status & 0x7F, "stack": text[-3000:]}
    ours = [line for line in text.splitlines() if line.startswith("importtrace:")]
    return {"after": after, "width": width, "said": ours, **told}


def main(session) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for module, body in BODIES.items():
            (folder / f"{module}.py").write_text(body)
        sys.path.insert(0, str(folder))
        builtins.starve = lambda: None
        __import__("outer")  # caches of directories and the like
        __import__("last")
        if session is not None:
            session.trace()  # it imports
        numbers = map(int, sys.argv[1:])
        tries = [attempt(n, width, session, folder) for n in numbers for width in WIDTHS]
    print(json.dumps(tries))
