"""Waits and hand-outs between threads, ordered by gates: who held what, how long, of which load."""

from __future__ import annotations

import pytest
from capture_support import PROBED, run
from test_parentage import BLOCKED

GATES = "import threading\nin_slow = threading.Event()\nleave = threading.Event()\n"


@pytest.mark.parametrize("mode", PROBED)
@pytest.mark.parametrize("statement", ["import slow", "from slow import late as x, early",
                                       "import importlib; importlib.import_module('slow')"])  # fmt: skip
def test_a_wait_for_another_thread_s_load(mode, statement, tmp_path):
    """``of`` the load it met, held by that thread; as long as it took; the module is then whole."""
    program = """
    import threading, gates, blocked, time
    builder = threading.Thread(target=__import__, args=("slow",), name="builder")
    builder.start()
    assert gates.in_slow.wait(20)
    waiter = threading.Thread(target=__import__, args=("waits",), name="waiter")
    waiter.start()
    blocked.until(waiter.ident, "slow")
    time.sleep(0.1)  # how long the wait is to be, at the least
    gates.leave.set()
    waiter.join(20)
    builder.join(20)
    """
    files = {
        "gates.py": GATES,
        "blocked.py": BLOCKED,
        "slow.py": "import gates\nearly = 1\ngates.in_slow.set()\nassert gates.leave.wait(20)\n"
        "late = 2\n",
        "waits.py": f"# waits\n{statement}\n",
    }
    result = run(tmp_path, program, mode=mode, files=files).ok()
    request, load = result.request("slow"), result.load("slow")
    assert request["outcome"] == "waited"
    assert request["of"] == load["id"]
    assert request["thread"]["name"] == "waiter"
    assert request["held_by"]["thread"]["name"] == "builder"
    assert request["held_by"]["thread"]["id"] == load["thread"]["id"]
    assert request["held_by"]["module"] == "slow"
    assert 90e6 < request["wait_ns"] <= request["duration_ns"]
    assert result.parent(request) == "waits"
    assert request["importer"]["line"] == 2
    assert request["importer"]["module"] == "waits"
    if statement.startswith("from"):
        assert request["names"] == ["late", "early"]
    # begun after the load, over when (or just after) it was over
    end = request["start_ns"] + request["duration_ns"]
    assert load["start_ns"] < request["start_ns"] < load["start_ns"] + load["duration_ns"] <= end
    assert "wait_ns" not in load
    assert load["outcome"] == "ok"
    assert result.load("waits")["outcome"] == "ok"


@pytest.mark.parametrize("mode", PROBED)
def test_a_wait_for_a_lock_that_was_free_a_moment_ago(mode, tmp_path):
    """Another thread takes the lock between our look at its owner and CPython's: the wait is recorded."""
    program = f"""
    session.uninstall()
    import _frozen_importlib, threading, time, gates, blocked
    original = _frozen_importlib._ModuleLock.acquire
    def acquire(self):
        if self.name == "slow" and threading.current_thread().name == "waiter":
            gates.looked.set()
            assert gates.in_slow.wait(20)
        return original(self)
    _frozen_importlib._ModuleLock.acquire = acquire
    session = importtrace.install(mode={mode!r}, log="off", spans="off", file="trace.jsonl")
    waiter = threading.Thread(target=__import__, args=("waits",), name="waiter")
    waiter.start()
    assert gates.looked.wait(20)
    builder = threading.Thread(target=__import__, args=("slow",), name="builder")
    builder.start()
    blocked.until(waiter.ident, "slow")
    time.sleep(0.1)  # how long the wait is to be, at the least
    gates.leave.set()
    waiter.join(20)
    builder.join(20)
    """
    files = {
        "gates.py": GATES + "looked = threading.Event()\n",
        "blocked.py": BLOCKED,
        "slow.py": "import gates\ngates.in_slow.set()\nassert gates.leave.wait(20)\n",
        "waits.py": "import slow\nimport gates\n",
    }
    result = run(tmp_path, program, mode=mode, files=files).ok()
    request, load = result.request("slow"), result.load("slow")
    assert request["outcome"] == "waited"
    assert request["of"] == load["id"]
    assert request["held_by"]["thread"]["name"] == "builder"
    assert request["wait_ns"] > 90e6
    assert result.parent(request) == "waits"
    assert request["importer"]["line"] == 1


@pytest.mark.parametrize("mode", PROBED)
def test_a_waiter_that_builds_the_module_itself_after_a_failure(mode, tmp_path):
    """The holder's load failed; the waiter's own is a load that waited, held by the first."""
    program = """
    import threading, gates, blocked
    def build(name):
        try:
            __import__(name)
        except ValueError:
            pass
    builder = threading.Thread(target=build, args=("slow",), name="builder")
    builder.start()
    assert gates.in_slow.wait(20)
    waiter = threading.Thread(target=build, args=("slow",), name="waiter")
    waiter.start()
    blocked.until(waiter.ident, "slow")
    gates.leave.set()
    waiter.join(20)
    builder.join(20)
    """
    files = {
        "gates.py": GATES + "times = []\n",
        "blocked.py": BLOCKED,
        "slow.py": "import gates\ngates.times.append(1)\nif len(gates.times) == 1:\n"
        "    gates.in_slow.set()\n    assert gates.leave.wait(20)\n    raise ValueError\n",
    }
    result = run(tmp_path, program, mode=mode, files=files).ok()
    loads = result.loads("slow")
    first = loads[0]
    assert first["outcome"] == "failed"
    assert first["thread"]["name"] == "builder"
    later = [one for one in result.records if one["thread"]["name"] == "waiter"]
    assert later[0]["wait_ns"] > 0
    assert later[0]["held_by"]["thread"]["name"] == "builder"
    assert later[0]["of"] == first["id"]
    if len(loads) == 1:  # it got what the builder left behind
        assert len(later) == 1
    elif len(later) == 1:  # the waiter re-ran the body
        assert later[0] == loads[1]
        assert later[0]["outcome"] == "waited"
    else:  # 3.13.15 and later: the wait was over what C had found in sys.modules; it looks again then
        assert later[0]["kind"] == "request"
        assert later[1:] == loads[1:]
        assert later[1]["outcome"] == "ok"
        assert "wait_ns" not in later[1]


@pytest.mark.parametrize("mode", PROBED)
def test_a_partial_hand_out_between_threads(mode, tmp_path):
    """left and right import each other in two threads: one gets the other's module half-built."""
    program = """
    import threading, gates, blocked
    threads = [threading.Thread(target=__import__, args=(name,), name=name)
               for name in ("left", "right")]
    for thread in threads: thread.start()
    assert gates.left_in.wait(20) and gates.right_in.wait(20)
    gates.left_go.set()
    blocked.until(threads[0].ident, "right")
    gates.right_go.set()
    for thread in threads: thread.join(20)
    print(any(thread.is_alive() for thread in threads))
    """
    side = """
        import gates
        early_{me} = 1
        gates.{me}_in.set()
        assert gates.{me}_go.wait(20)
        from {other} import early_{other}
        late_{me} = 2
        """
    files = {
        "gates.py": "import threading\nleft_in, left_go, right_in, right_go = "
        "[threading.Event() for _ in range(4)]\n",
        "blocked.py": BLOCKED,
        "left.py": side.format(me="left", other="right"),
        "right.py": side.format(me="right", other="left"),
    }
    result = run(tmp_path, program, mode=mode, files=files).ok()
    assert result.out == "False\n"
    waited, partial = result.request("right"), result.request("left")
    # left waits for right; right would close the ring and gets left as it stands
    assert waited["outcome"] == "waited"
    assert waited["thread"]["name"] == "left"
    assert waited["wait_ns"] > 0
    assert partial["outcome"] == "partial"
    assert partial["thread"]["name"] == "right"
    assert partial["held_by"]["thread"]["name"] == "left"
    assert partial["held_by"]["module"] == "left"
    assert partial["of"] == result.load("left")["id"]
    assert partial["names"] == ["early_left"]
    assert result.parent(partial) == "right"
    assert partial["start_ns"] > waited["start_ns"]
    assert {result.load(name)["outcome"] for name in ("left", "right")} == {"ok"}


@pytest.mark.parametrize("mode", PROBED)
def test_a_wait_that_an_interrupt_ends(mode, tmp_path):
    """A signal handler raises in the main thread while it waits: its exception, no lock taken."""
    program = """
    import signal, threading, gates, blocked, _frozen_importlib, json
    builder = threading.Thread(target=__import__, args=("slow",), name="builder")
    builder.start()
    assert gates.in_slow.wait(20)
    def interrupt():
        blocked.until(None, "slow")
        # a signal that comes just before the main thread blocks does not wake it: again, until it does
        for turn in range(2000):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            if over.wait(0.01):
                break
    over, raised = threading.Event(), []
    def handler(number, frame):
        if not raised:
            raised.append(number)
            raise InterruptedError("mine")
    signal.signal(signal.SIGUSR1, handler)
    other = threading.Thread(target=interrupt)
    other.start()
    caught = None
    try:
        import slow
    except InterruptedError as error:
        caught, frames, tb = str(error), [], error.__traceback__
        while tb is not None:
            frames.append(tb.tb_frame.f_globals["__name__"])
            tb = tb.tb_next
    over.set()
    gates.leave.set()
    other.join(20)
    builder.join(20)
    import slow
    print(json.dumps([caught, slow.late, [f for f in frames if "importtrace" in f]]))
    """
    files = {
        "gates.py": GATES,
        "blocked.py": BLOCKED,
        "slow.py": "import gates\ngates.in_slow.set()\nassert gates.leave.wait(20)\nlate = 2\n",
    }
    traced = run(tmp_path / "a", program, mode=mode, files=files)
    plain = run(tmp_path / "b", program, mode=None, files=files)
    if plain.code:
        pytest.skip("this interpreter cannot be interrupted there")
    assert traced.data == plain.data
    assert traced.load("slow")["outcome"] == "ok"


def test_the_table_of_waiting_threads_is_read_in_one_piece(tmp_path):
    """The garbage collector runs Python code, importlib's own too, and so other threads may run: what
    changes the table in the middle of reading it does no harm."""
    program = """
    import _frozen_importlib, gc
    from importtrace import _compat
    table = _frozen_importlib._blocking_on
    data = getattr(table, "data", table)
    lock = _frozen_importlib._ModuleLock("waited_for")
    class Locks(list):
        pass
    kept = [Locks([lock]) for _ in range(500)]
    import weakref
    for number, locks in enumerate(kept):
        data[-1 - number] = lock if data is table else weakref.ref(locks)
    changes = []
    def collecting(phase, information):
        changes.append(phase)
        data[-1000 - len(changes)] = data[-1]
    gc.callbacks.append(collecting)
    gc.set_threshold(1)
    found = _compat.blocked_threads()
    gc.set_threshold(700)
    gc.callbacks.clear()
    for ident in [ident for ident in data if ident < 0]:
        del data[ident]
    print(len(found) >= 500, {name for _, name, _ in found})
    """
    result = run(tmp_path, program, files={}).ok()
    assert result.out == "True {'waited_for'}\n"
    assert result.err == ""
