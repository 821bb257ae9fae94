"""What the traced program of the fault runs does: every way into the import system, well and badly.

`steps(folder)` gives (name, function) pairs; `outcome(function)` is what one of them did, as plain
values: its result, or its exception with context, traceback and arguments, as the program sees them.
Imports only what the runner has loaded before it forks.
"""

import _frozen_importlib
import _thread
import importlib
import importlib.util
import sys
import threading
import time
from pathlib import Path

FILES = {
    "one.py": "import two\nfrom pkg import sub\nfrom pkg import other as again\n",
    "two.py": "x = 1\n",
    "pkg/__init__.py": "import pkg.sub\nvalue = 1\n",
    "pkg/sub.py": "import one\nfrom . import other\nfrom .deep import leaf\n",
    "pkg/other.py": "from pkg import sub\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/leaf.py": "import pkg.deep.leaf\n",
    "bad.py": "import worse\n",
    "worse.py": "import two\n1 / 0\n",
    "optional.py": "try:\n    import nowhere_optional\nexcept ImportError:\n    nowhere_optional = None\n",
    "circ_a.py": "from circ_b import b\na = 1\n",
    "circ_b.py": "from circ_a import a\nb = 1\n",
    "attribute.py": "import two\ntwo.nothing\n",
    "quits.py": "raise SystemExit(3)\n",
    "unparsable.py": "def (:\n",
    "namespace/inner.py": "x = 1\n",
    "lazy.py": "import two\nx = 1\n",
    "by_hand.py": "import two\nx = 2\n",
    "replaces.py": "import sys, two\nsys.modules[__name__] = two\n",
    "vanishes.py": "import sys\ndel sys.modules[__name__]\n",
    "slow.py": "import meeting\nmeeting.in_slow.set()\nmeeting.until_blocked()\nx = 1\n",
    "slow_fails.py": "import meeting\nif not meeting.in_fails.is_set():\n"
    "    meeting.in_fails.set()\n    meeting.until_blocked()\n1 / 0\n",
    "left.py": "import meeting\nmeeting.left.set()\nmeeting.right.wait(10)\nimport right\nx = 1\n",
    "right.py": "import meeting\nmeeting.right.set()\nmeeting.left.wait(10)\n"
    "meeting.until_blocked()\nimport left\nx = 1\n",
    "starts.py": "import threading\nt = threading.Thread(target=__import__, args=('in_thread',))\n"
    "t.start()\nt.join(10)\n",
    "in_thread.py": "import two\n",
    "meeting.py": """
import threading, time, _frozen_importlib
in_slow, in_fails, left, right = (threading.Event() for _ in range(4))
def until_blocked():
    table = _frozen_importlib._blocking_on
    end = time.monotonic() + 5
    while not len(getattr(table, "data", table)) and time.monotonic() < end:
        time.sleep(0.0005)
""",
}


def write(folder: Path) -> None:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def outcome(function):
    """What `function` did, as JSON would have it."""
    try:
        return ["ok", function()]
    except BaseException as error:
        return ["raised", *_error(error)]


def _error(error):
    if error is None:
        return None
    frames, tb = [], error.__traceback__
    while tb is not None:
        code = tb.tb_frame.f_code
        if code.co_filename != __file__:
            frames.append([code.co_filename.rpartition("/")[2], code.co_name, tb.tb_lineno])
        tb = tb.tb_next
    arguments = [str(argument) for argument in error.args]
    chain = [_error(error.__context__), _error(error.__cause__), error.__suppress_context__]
    return [type(error).__name__, arguments, frames, chain]


def _in_threads(*targets):
    """Each target in a thread of its own, started in order; their outcomes, by name of the thread."""
    found = {}
    threads = []
    for number, (before, target) in enumerate(targets):

        def work(number=number, target=target):
            found[number] = outcome(target)

        thread = threading.Thread(target=work, name=f"w{number}")
        if before is not None:
            before.wait(10)
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join(15)
    return [found.get(number, "hangs") for number in range(len(targets))]


def steps(folder: Path):
    def plain():
        import one

        return sorted(vars(one).keys() - {"__builtins__"})

    def name_missing():
        from two import nothing  # noqa: F401

    def submodule_missing():
        from pkg import nothing  # noqa: F401

    def while_handling():
        try:
            raise KeyError("handled")
        except KeyError:
            import pkg.deep.leaf

            return pkg.deep.leaf.__name__

    def failing_while_handling():
        try:
            raise KeyError("handled")
        except KeyError:
            import bad  # noqa: F401

    def reload():
        import two

        return importlib.reload(two) is two

    def reload_fails():
        import two

        (folder / "two.py").write_text("1 / 0\n")
        try:
            importlib.reload(two)
        finally:
            (folder / "two.py").write_text(FILES["two.py"])

    def by_hand():
        spec = importlib.util.spec_from_file_location("by_hand", folder / "by_hand.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.x

    def lazy():
        spec = importlib.util.find_spec("lazy")
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules["lazy"] = module
        spec.loader.exec_module(module)
        return module.x

    def imports(name):
        def step():
            return importlib.import_module(name).__name__

        step.__name__ = name
        return step

    def extension():
        found = []
        for name in ("_heapq", "_bisect", "_opcode"):
            sys.modules.pop(name, None)
            found.append(importlib.import_module(name).__name__)
        return found

    def waits():
        import meeting

        def first():
            import slow

            return slow.x

        def second():
            import slow

            return slow.x

        return _in_threads((None, first), (meeting.in_slow, second))

    def waits_for_failure():
        import meeting

        return [
            one[:2]
            for one in _in_threads(
                (None, imports("slow_fails")), (meeting.in_fails, imports("slow_fails"))
            )
        ]

    def deadlock():
        return _in_threads((None, imports("left")), (None, imports("right")))

    def starts_thread():
        import starts

        return starts.t.is_alive(), "in_thread" in sys.modules

    def afterwards():
        sys.modules.pop("one", None)
        import one

        return one.__name__

    return [
        (step.__name__, step)
        for step in (
            plain,
            name_missing,
            submodule_missing,
            while_handling,
            failing_while_handling,
            imports("optional"),
            imports("nowhere_at_all"),
            imports("pkg.nowhere.below"),
            imports("circ_a"),
            imports("attribute"),
            imports("quits"),
            imports("unparsable"),
            imports("namespace.inner"),
            imports("replaces"),
            imports("vanishes"),
            reload,
            reload_fails,
            by_hand,
            lazy,
            extension,
            starts_thread,
            waits,
            waits_for_failure,
            deadlock,
            afterwards,
        )
    ]


def held_locks():
    """Modules whose lock somebody still holds."""
    held = []
    for reference in list(_frozen_importlib._module_locks.values()):
        lock = reference()
        if lock is not None and lock.owner is not None:
            held.append(lock.name)
    return held


def import_machinery():
    """What install() may touch, by identity."""
    import atexit  # noqa: F401  taken by install(): loaded before

    state = {}
    for owner in (_frozen_importlib, _frozen_importlib._ModuleLock, _frozen_importlib.ModuleSpec):
        for name, value in vars(owner).items():
            state[f"{owner.__name__}.{name}"] = value
    for owner, name in (
        (sys, "excepthook"),
        (sys, "unraisablehook"),
        (threading, "excepthook"),
        (threading, "_start_new_thread"),
        (threading, "_start_joinable_thread"),
        (threading.Thread, "start"),
        (_thread, "start_new_thread"),
        (time, "sleep"),
    ):
        state[f"{owner.__name__}.{name}"] = getattr(owner, name, None)
    state["builtins.__import__"] = __import__
    for position, finder in enumerate(sys.meta_path):
        state[f"sys.meta_path[{position}]"] = finder
    return state
