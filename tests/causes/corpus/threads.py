"""Failures that take two threads, and what looks like them.

Gates in the packages put the threads in order (support/gates.py). Each ran 20 times untraced on
every interpreter of ``model.RACES_KNOWN`` and always ended in the same way.
"""

from __future__ import annotations

from corpus.model import Case, Fails, Partial, Root, at, step

CORE_FAILS = at("svc/core.py", 'LIMIT = int("ten")')
BUILDER = Fails(
    "ValueError",
    "'ten'",
    "body_raised",
    module="svc.core",
    ends=CORE_FAILS,
    absent=("cycle", "partial", "waits"),
)
BUILDER_FAILED = Root("ValueError", CORE_FAILS, ("svc.core",), thread="builder")
WAITED = (("waiter", "svc.core", "builder"),)
ENGINE_FAILED = Root(
    "ModuleNotFoundError",
    at("svc/core.py", "import absent_engine"),
    thread="builder",
    message="absent_engine",
)


def in_three(thread: str, type_: str, message: str, ends: str) -> Fails:
    return Fails(
        type_,
        message,
        "failed_in_other_thread",
        ends=at("main.py", ends),
        root=ENGINE_FAILED,
        waits=((thread, "svc.core", "builder"),),
        absent=("cycle",),
        notes=0,  # raised by the thread's own function: it never left a load
    )


FAILED = [
    Case(
        "thread_failed",
        "from_name",
        {
            "builder": BUILDER,
            "waiter": Fails(
                "ImportError",
                "cannot import name 'connect' from 'svc.core'",
                "failed_in_other_thread",
                module="svc.core",
                name="connect",
                starts=at("main.py", "import svc.client"),
                ends=at("svc/client.py", "from svc.core import connect"),
                partial=Partial("svc.core", "failed", unbound=("connect", "LIMIT")),
                bound_at=at("svc/core.py", "def connect"),
                root=BUILDER_FAILED,
                waits=WAITED,
                absent=("cycle",),
            ),
        },
        race=True,
    ),
    Case(
        "thread_failed",
        "as_import",
        {
            "builder": BUILDER,
            "waiter": Fails(
                "ImportError",
                "cannot import name 'core' from 'svc'",
                "failed_in_other_thread",
                ends=at("svc/client.py", "import svc.core as core"),
                root=BUILDER_FAILED,
                waits=WAITED,
                absent=("cycle",),
            ),
        },
        race=True,
    ),
    Case(
        "thread_failed",
        "attribute",
        {
            "builder": BUILDER,
            "waiter": Fails(
                "AttributeError",
                # "(most likely due to a circular import)" is not so: importlib takes another
                # thread's submodule off its list of unfinished ones, and core stays on it
                "cannot access submodule 'core' of module 'svc'",
                "failed_in_other_thread",
                ends=at("svc/client.py", "CONNECTION = svc.core.connect()"),
                root=BUILDER_FAILED,
                waits=WAITED,
                absent=("cycle",),
            ),
        },
        race=True,
    ),
    Case(
        "thread_failed",
        "keyerror",
        {
            "builder": Fails("ValueError", "'ten'", "body_raised", module="svc"),
            "waiter": Fails(
                "KeyError",
                "'svc'",
                "failed_in_other_thread",
                ends=at("main.py", "import svc.child"),
                root=Root(
                    "ValueError", at("svc/__init__.py", 'LIMIT = int("ten")'), ("svc",), "builder"
                ),
                absent=("cycle",),
            ),
        },
        race=True,
    ),
    Case(
        "thread_failed",
        "in_three",
        {
            "builder": Fails(
                "ModuleNotFoundError",
                "'absent_engine'",
                "not_found",
                module="absent_engine",
                ends=at("svc/core.py", "import absent_engine"),
                absent=("waits", "partial"),
            ),
            "first": in_three(
                "first",
                "ImportError",
                "cannot import name 'connect' from 'svc.core'",
                "from svc.core import connect as a",
            ),
            "second": in_three(
                "second",
                "ImportError",
                "cannot import name 'core' from 'svc'",
                "import svc.core as core",
            ),
            "third": in_three(
                "third",
                "ImportError",
                "cannot import name 'connect' from 'svc.core'",
                "from svc.core import connect as b",
            ),
        },
        race=True,
    ),
    Case(
        "thread_failed",
        "unrelated",
        {
            "builder": BUILDER,
            "waiter": Fails(
                "ImportError",
                "cannot import name 'conection' from 'svc.other'",
                "missing_name",
                module="svc.other",
                name="conection",
                absent=("root", "waits", "partial", "cycle", "bound_at"),
                hint=("connection",),
            ),
        },
    ),
    Case(
        "thread_failed",
        "own_keyerror",
        {
            "builder": Fails("ValueError", "'ten'", "body_raised", module="svc"),
            "waiter": Fails(
                "KeyError",
                "'svc'",
                "body_raised",
                module="svc.child",
                ends=at("svc/child.py", 'VALUE = TABLE["svc"]'),
                absent=("cycle", "root", "waits", "partial"),
            ),
        },
        race=True,  # since 3.13.18 a child's import waits for its half-built parent
    ),
    Case("thread_failed", "twin"),
]

RACE = [
    Case(
        "thread_race",
        "race",
        {
            "builder": Fails(
                "ImportError",
                "cannot import name 'SECOND' from partially initialized module 'svc.second'",
                "thread_race",
                module="svc.second",
                name="SECOND",
                ends=at("svc/first.py", "from svc.second import SECOND"),
                partial=Partial(
                    "svc.second",
                    unbound=("FIRST", "SECOND"),
                    held_by="racer",
                    held_at=at("svc/second.py", "from svc.first import FIRST"),
                ),
                bound_at=at("svc/second.py", "SECOND = FIRST + 1"),
                waits=(("racer", "svc.first", "builder"),),
            ),
            "racer": Fails(
                "KeyError",
                "'svc'",
                "failed_in_other_thread",
                ends=at("main.py", "import svc.second"),
                root=Root(
                    "ImportError",
                    at("svc/first.py", "from svc.second import SECOND"),
                    thread="builder",
                    message="SECOND",
                ),
            ),
        },
        race=True,
    ),
    Case("thread_race", "one_thread"),
    Case("thread_race", "harmless", race=True, hands_out=("svc.second",)),
    Case(
        "thread_race",
        "circular_beside",
        {
            "builder": Fails(
                "ImportError",
                "cannot import name 'FIRST' from partially initialized module 'svc.first'",
                "circular",
                module="svc.first",
                name="FIRST",
                cycle=(
                    step("svc.first", "svc/first.py", "from svc.second import SECOND"),
                    step("svc.second", "svc/second.py", "from svc.first import FIRST"),
                ),
                bound_at=at("svc/first.py", "FIRST = SECOND"),
                partial=Partial("svc.first", held_by="builder", unbound=("FIRST",)),
            ),
            "racer": Fails(
                "ImportError",
                "cannot import name 'FIRST' from 'svc.first'",
                "failed_in_other_thread",
                module="svc.first",
                name="FIRST",
                ends=at("svc_user.py", "from svc.first import FIRST"),
                root=Root(
                    "ImportError",
                    at("svc/second.py", "from svc.first import FIRST"),
                    thread="builder",
                ),
                waits=(("racer", "svc.first", "builder"),),
            ),
        },
        race=True,
    ),
]

LOCKS = [
    Case(
        "lock_order",
        "buggy",
        {
            "parent": Fails(
                "_DeadlockError",
                "deadlock detected by _ModuleLock\\('svc.child'\\)",
                "lock_order",
                ends=at("svc/__init__.py", "import svc.child"),
                waits=(("parent", "svc.child", "child"), ("child", "svc", "parent")),
                absent=("cycle", "bound_at"),
            )
        },
        race=True,
    ),
    Case("lock_order", "twin"),
]

CASES = [*FAILED, *RACE, *LOCKS]
