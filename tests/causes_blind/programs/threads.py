"""Several threads: real races, failures that travel, and threads that have no part in it."""

from __future__ import annotations

from ..model import Says, Table

TABLE = Table()
P = TABLE.add

P(
    "cross_imports",
    """
=== main.py
import threading
def one():
    try:
        import a
    except ImportError as exc:
        judge("one", exc)
def two():
    hold("in_a")
    try:
        import b
    except ImportError as exc:
        judge("two", exc)
ts = [threading.Thread(target=f, name=f.__name__) for f in (one, two)]
[t.start() for t in ts]; [t.join(20) for t in ts]
=== a.py
go("in_a"); hold("in_b")
from b import B  #@ab
A = 1  #@bindA
=== b.py
go("in_b"); blocked("one")
from a import A  #@ba
B = 1
""",
    one=Says("failed_in_other_thread", root="ba", never=("never bind",)),
    two=Says("thread_race", root="ba", bound="bindA", module="a", thread="two"),
)
P(
    "one_thread_after_the_other",
    """
=== main.py
import threading
def one():
    import a
def two():
    import b
for f in (one, two):
    t = threading.Thread(target=f, name=f.__name__); t.start(); t.join(20)
=== a.py
A = 1
import b
=== b.py
from a import A
B = 1
""",
)
P(
    "cycle_inside_a_thread",
    """
=== main.py
import threading
def one():
    try:
        import a
    except ImportError as exc:
        judge("one", exc)
t = threading.Thread(target=one, name="one"); t.start(); t.join(20)
=== a.py
import b
A = 1  #@bind
=== b.py
from a import A  #@fail
""",
    one=Says(
        "circular",
        root="fail",
        bound="bind",
        cycle=("a", "b"),
        thread="one",
        never=("another thread",),
    ),
)
P(
    "future_result",
    """
=== main.py
import boot
=== boot.py
from concurrent.futures import ThreadPoolExecutor
def load():
    import broken  #@imp
if True: pass
with ThreadPoolExecutor(1, "pool") as pool:
    pool.submit(load).result()  #@result
=== broken.py
import dep_x  #@fail
""",
    main=Says("not_found|failed_in_other_thread", root="fail", module="dep_x", thread="pool_0"),
)
P(
    "to_thread",
    """
=== main.py
import asyncio
def load():
    from cart import totl  #@fail
async def main():
    await asyncio.to_thread(load)
asyncio.run(main())
=== cart.py
total = 1
""",
    main=Says("missing_name", root="fail", says=("total\\b",)),
)
P(
    "thread_swallowed_the_same",
    """
=== main.py
import threading
def warm():
    try:
        import optional_x
    except ImportError:
        pass
t = threading.Thread(target=warm, name="warm"); t.start(); t.join(20)
import optional_x  #@fail
""",
    main=Says("not_found", root="fail", never=("another thread", "warm")),
)
P(
    "thread_failed_long_ago",
    """
=== main.py
import threading
def warm():
    try:
        import svc
    except ValueError:
        pass
t = threading.Thread(target=warm, name="warm"); t.start(); t.join(20)
import svc
=== svc.py
LIMIT = int("many")  #@fail
""",
    main=Says("body_raised", root="fail", thread="MainThread", never=("waited", "warm")),
)
P(
    "waiter_sees_failure",
    """
=== main.py
import threading
def one():
    try:
        import svc
    except ValueError as exc:
        judge("one", exc)
def two():
    hold("in_svc")
    try:
        from svc import connect
    except (ValueError, ImportError, KeyError) as exc:
        judge("two", exc)
ts = [threading.Thread(target=f, name=f.__name__) for f in (one, two)]
[t.start() for t in ts]; [t.join(20) for t in ts]
=== svc.py
go("in_svc"); blocked("two")
LIMIT = int("many")  #@fail
def connect(): pass  #@bind
""",
    one=Says("body_raised", root="fail", thread="one", never=("another thread",)),
    two=Says("failed_in_other_thread|body_raised", root="fail", never=("circular", "never bind")),
)
P(
    "waiter_gets_it_whole",
    """
=== main.py
import threading
def one():
    import svc
def two():
    hold("in_svc")
    try:
        from svc import conect  #@fail
    except ImportError as exc:
        judge("two", exc)
ts = [threading.Thread(target=f, name=f.__name__) for f in (one, two)]
[t.start() for t in ts]; [t.join(20) for t in ts]
=== svc.py
go("in_svc"); blocked("two")
def connect(): pass
""",
    two=Says(
        "missing_name",
        root="fail",
        bound="-",
        says=("connect\\b",),
        never=(r"\brace\b", "half-built", "failed in"),
    ),
)
P(
    "busy_thread_is_innocent",
    """
=== main.py
import threading
def busy():
    import slow
t = threading.Thread(target=busy, name="busy"); t.start()
hold("in_slow")
try:
    import a
except ImportError as exc:
    judge("main", exc)
go("done"); t.join(20)
=== slow.py
go("in_slow"); hold("done")
=== a.py
import b
A = 1  #@bind
=== b.py
from a import A  #@fail
""",
    main=Says(
        "circular", root="fail", bound="bind", cycle=("a", "b"), never=("busy", "slow", r"\brace\b")
    ),
)
P(
    "innocent_failure_beside",
    """
=== main.py
import threading
def busy():
    try:
        import slow
    except ValueError as exc:
        judge("busy", exc)
t = threading.Thread(target=busy, name="busy"); t.start()
hold("in_slow")
go("done"); t.join(20)
try:
    from cart import totl  #@fail
except ImportError as exc:
    judge("main", exc)
=== slow.py
go("in_slow"); hold("done")
import cart
raise ValueError("x")  #@slow
=== cart.py
total = 1
""",
    main=Says("missing_name", root="fail", never=("busy", "slow")),
    busy=Says("body_raised", root="slow"),
)
P(
    "attribute_of_half_built",
    """
=== main.py
import threading
def builder():
    import pkg
t = threading.Thread(target=builder, name="builder"); t.start()
hold("in_pkg")
try:
    import sys
    sys.modules["pkg"].late  #@fail
except AttributeError as exc:
    judge("main", exc)
go("done"); t.join(20)
=== pkg.py
go("in_pkg"); hold("done")
late = 1  #@bind
""",
    main=Says(
        "thread_race|missing_name|",
        bound="bind?",
        never=("circular import", "complete", "never bind"),
    ),
)
P(
    "parent_fails_while_child_waits",
    """
=== main.py
import threading
def one():
    try:
        import svc
    except Exception as exc:
        judge("one", exc)
def two():
    hold("in_svc")
    try:
        import svc.child
    except Exception as exc:
        judge("two", exc)
ts = [threading.Thread(target=f, name=f.__name__) for f in (one, two)]
[t.start() for t in ts]; [t.join(20) for t in ts]
=== svc/__init__.py
go("in_svc"); hold("in_child")
raise ValueError("no config")  #@fail
=== svc/child.py
go("in_child")
import sys
while "svc" in sys.modules: pass
import svc.other
=== svc/other.py
""",
    one=Says("body_raised", root="fail", thread="one"),
    two=Says("failed_in_other_thread|body_raised", root="fail", never=("circular",)),
)
