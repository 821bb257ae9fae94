"""A thread's first import belongs to the load during which the thread was started."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture_support import MODES, PROBED, run

import importtrace

BARE = {"PYTHONPATH": str(Path(importtrace.__file__).parent.parent)}  # for -S

STARTS = {
    "starts.py": """
        import threading
        thread = threading.Thread(target=lambda: run(), name="warm")
        def run():
            import first_one
            import second_one
        thread.start()
        import before_join
        thread.join(20)
        """,
    "first_one.py": "import below\n",
    "second_one.py": "",
    "below.py": "",
    "before_join.py": "",
}


@pytest.mark.parametrize("mode", MODES)
def test_the_first_import_of_a_thread_and_only_that(mode, tmp_path):
    """starts -> (thread) first_one -> below; second_one has no parent; nor has what comes later."""
    result = run(tmp_path, "import starts\n", mode=mode, files=STARTS).ok()
    first = result.load("first_one")
    assert result.parent(first) == "starts"
    assert first["thread"]["name"] == "warm"
    assert first["thread"]["serial"] != result.load("starts")["thread"]["serial"]
    assert result.parent(result.load("below")) == "first_one"
    assert result.parent(result.load("second_one")) is None
    assert result.parent(result.load("before_join")) == "starts"


def test_a_thread_s_time_is_not_taken_from_the_load_that_started_it(tmp_path):
    """Self times are sums within a thread; the other thread's loads run beside it."""
    files = {**STARTS, "first_one.py": "import time; time.sleep(0.3)\n"}
    result = run(tmp_path, "import starts\n", files=files).ok()
    assert result.load("starts")["self_ns"] > 250e6
    serials = {one["thread"]["serial"] for one in result.records}
    assert len(serials) == 2
    for serial in serials:
        mine = [one for one in result.records if one["thread"]["serial"] == serial]
        ids = {one["id"] for one in mine}
        total = sum(one["duration_ns"] for one in mine if one.get("parent") not in ids)
        assert sum(one["self_ns"] for one in mine) == pytest.approx(total, rel=0.01)


@pytest.mark.parametrize("mode", MODES)
def test_a_thread_started_outside_any_load_has_no_parent(mode, tmp_path):
    """And one that was started by ``_thread`` in a body has none either: it was not observed."""
    program = """
    import threading
    thread = threading.Thread(target=__import__, args=("leaf",))
    thread.start()
    thread.join(20)
    import starts_raw
    starts_raw.done.acquire(timeout=20)
    """
    files = {
        "leaf.py": "",
        "raw_leaf.py": "",
        "starts_raw.py": """
            import _thread
            done = _thread.allocate_lock()
            done.acquire()
            def go():
                import raw_leaf
                done.release()
            _thread.start_new_thread(go, ())
            """,
    }
    result = run(tmp_path, program, mode=mode, files=files).ok()
    assert result.parent(result.load("leaf")) is None
    assert result.parent(result.load("raw_leaf")) is None


@pytest.mark.parametrize("mode", PROBED)
def test_threading_is_not_loaded_for_it(mode, tmp_path):
    """A program without threads gets none of our making."""
    program = """
    import sys
    before = "threading" in sys.modules
    import leaf
    session.trace()
    print(before, "threading" in sys.modules)
    """
    result = run(tmp_path, program, mode=mode, files={"leaf.py": ""}, flags=("-S",), env=BARE).ok()
    assert result.out == "False False\n"
    assert result.load("leaf")["thread"]["name"] == "MainThread"


@pytest.mark.parametrize("mode", MODES)
def test_threading_loaded_while_tracing_is_followed(mode, tmp_path):
    """The body that imports ``threading`` for the first time starts a thread at once."""
    result = run(tmp_path, "import starts\n", mode=mode, files=STARTS, flags=("-S",), env=BARE).ok()
    assert result.parent(result.load("first_one")) == "starts"
    assert result.load("first_one")["thread"]["name"] == "warm"


@pytest.mark.parametrize("mode", PROBED)
def test_a_thread_whose_first_import_waits_belongs_to_its_starter_too(mode, tmp_path):
    """Its first import is a request: that has the parent, and it is used up."""
    program = """
    import threading, gates
    slow = threading.Thread(target=__import__, args=("slow",), name="slow")
    slow.start()
    assert gates.in_slow.wait(20)
    import starter
    gates.waiter.join(20)
    slow.join(20)
    """
    files = {
        "gates.py": "import threading\nin_slow = threading.Event()\nleave = threading.Event()\n"
        "waiter = None\n",
        "slow.py": "import gates\ngates.in_slow.set()\nassert gates.leave.wait(20)\n",
        "starter.py": """
            import gates, threading, sys, _frozen_importlib
            def go():
                import slow
                import afterwards
            gates.waiter = threading.Thread(target=go, name="waiter")
            gates.waiter.start()
            import blocked
            blocked.until(gates.waiter.ident, "slow")
            gates.leave.set()
            gates.waiter.join(20)
            """,
        "afterwards.py": "",
        "blocked.py": BLOCKED,
    }
    result = run(tmp_path, program, mode=mode, files=files).ok()
    request = result.request("slow")
    assert request["outcome"] == "waited"
    assert request["thread"]["name"] == "waiter"
    assert result.parent(request) == "starter"
    assert result.parent(result.load("afterwards")) is None


@pytest.mark.parametrize("mode", PROBED)
def test_reused_idents_are_different_threads(mode, tmp_path):
    """Forty short threads, one after the other: forty serials, each with its own name."""
    program = """
    import threading
    for number in range(40):
        thread = threading.Thread(target=__import__, args=(f"m{number}",), name=f"T{number}")
        thread.start()
        thread.join(20)
    """
    files = {f"m{number}.py": f"import n{number}\n" for number in range(40)}
    files |= {f"n{number}.py": "" for number in range(40)}
    result = run(tmp_path, program, mode=mode, files=files).ok()
    seen = set()
    for number in range(40):
        outer, inner = result.load(f"m{number}"), result.load(f"n{number}")
        assert outer["thread"]["name"] == f"T{number}"
        assert outer["thread"] == inner["thread"]
        seen.add(outer["thread"]["serial"])
    assert len(seen) == 40
    assert len({thread["serial"] for thread in result.header["threads"]}) == len(
        result.header["threads"]
    )


@pytest.mark.parametrize("mode", PROBED)
def test_a_pool_started_in_a_body(mode, tmp_path):
    """concurrent.futures in a module body: each worker's first import has that body as parent."""
    files = {
        "warm.py": """
            from concurrent.futures import ThreadPoolExecutor
            import threading
            both = threading.Barrier(2)
            def go(name):
                both.wait(20)
                __import__(name)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(go, ["one", "two"]))
            """,
        "one.py": "",
        "two.py": "",
    }
    result = run(tmp_path, "import warm\n", mode=mode, files=files).ok()
    assert {result.parent(result.load(name)) for name in ("one", "two")} == {"warm"}


# Waits (bounded) until a thread is blocked on a module's lock, as CPython's own table tells.
BLOCKED = """
    import _frozen_importlib, sys, time

    def _waits(ident, name):
        lock = _frozen_importlib._get_module_lock(name)
        waiters = lock.waiters
        return bool(waiters) if isinstance(waiters, (int, list)) else False

    def until(ident, name, limit=20):
        end = time.monotonic() + limit
        while not _waits(ident, name):
            if time.monotonic() > end:
                raise SystemExit(f"nobody waits for {name}")
            time.sleep(0)
"""
