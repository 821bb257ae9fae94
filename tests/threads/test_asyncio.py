"""Programs on asyncio: imports in coroutines, in executors, and event loops inside module bodies."""

from __future__ import annotations

import pytest
from capture_support import Run, run

MODES = ("auto", "finder")  # `auto` places what `probes` places


def both(tmp_path, program: str, files: dict[str, str], mode: str) -> Run:
    """The traced run; the untraced one must have done the same."""
    plain = run(tmp_path / "a", program, mode=None, files=files, timeout=60).ok()
    traced = run(tmp_path / "b", program, mode=mode, files=files, timeout=60).ok()
    assert (traced.out, traced.err) == (plain.out, plain.err)
    assert "stopped" not in traced.header
    return traced


@pytest.mark.parametrize("mode", MODES)
def test_imports_in_coroutines_that_take_turns(mode, tmp_path):
    """An import does not give way to other coroutines, so the loads of one are never another's."""
    program = """
    import asyncio
    async def work(number):
        for part in ("one", "two", "three"):
            await asyncio.sleep(0)
            __import__(f"{part}{number}")
            await asyncio.sleep(0)
    async def main():
        async with asyncio.TaskGroup() as group:
            for number in range(8): group.create_task(work(number))
    asyncio.run(main())
    print(sorted(name for name in __import__("sys").modules if name.startswith("leaf")))
    """
    files = {}
    for number in range(8):
        files |= {
            f"{part}{number}.py": f"import leaf{number}\n" for part in ("one", "two", "three")
        }
        files[f"leaf{number}.py"] = ""
    traced = both(tmp_path, program, files, mode)
    for number in range(8):
        assert traced.parent(traced.load(f"leaf{number}")) == f"one{number}"
        for part in ("one", "two", "three"):
            assert traced.parent(traced.load(f"{part}{number}")) is None


@pytest.mark.parametrize("mode", MODES)
def test_an_executor_imports_while_a_coroutine_waits_for_it(mode, tmp_path):
    """Each load is in the thread that ran its body; the loop's own imports go on meanwhile."""
    program = """
    import asyncio, concurrent.futures, threading, gates
    async def main():
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
            job = loop.run_in_executor(pool, __import__, "heavy")
            while not gates.in_heavy.is_set():
                await asyncio.sleep(0)
            import meanwhile
            gates.go.set()
            await job
            import heavy
            print(heavy.ran_in, meanwhile.ran_in)
        await asyncio.to_thread(__import__, "afterwards")
    asyncio.run(main())
    """
    files = {
        "gates.py": "import threading\nin_heavy, go = threading.Event(), threading.Event()\n",
        "heavy.py": """
            import gates, threading
            gates.in_heavy.set()
            assert gates.go.wait(20)
            import below_heavy
            ran_in = threading.current_thread().name
            """,
        "below_heavy.py": "",
        "meanwhile.py": "import threading; ran_in = threading.current_thread().name\n",
        "afterwards.py": "",
    }
    traced = both(tmp_path, program, files, mode)
    assert traced.load("heavy")["thread"]["name"] == "pool_0"
    assert traced.parent(traced.load("heavy")) is None
    assert traced.parent(traced.load("below_heavy")) == "heavy"
    assert traced.load("meanwhile")["thread"]["name"] == "MainThread"
    assert traced.parent(traced.load("meanwhile")) is None
    assert traced.parent(traced.load("afterwards")) is None
    heavy, meanwhile = traced.load("heavy"), traced.load("meanwhile")
    assert heavy["start_ns"] < meanwhile["start_ns"]
    end = meanwhile["start_ns"] + meanwhile["duration_ns"]
    assert end < heavy["start_ns"] + heavy["duration_ns"]


@pytest.mark.parametrize("mode", MODES)
def test_an_event_loop_inside_a_body(mode, tmp_path):
    """What its coroutines import is below the body's load; so is the first import of a thread of its own."""
    program = "import runs_a_loop, after\n"
    files = {
        "runs_a_loop.py": """
            import asyncio
            async def one():
                await asyncio.sleep(0)
                import inner_one
            async def two():
                await asyncio.sleep(0)
                import inner_two
                await asyncio.to_thread(__import__, "in_thread")
            async def main():
                await asyncio.gather(one(), two())
            asyncio.run(main())
            """,
        "inner_one.py": "import leaf\n",
        "inner_two.py": "",
        "in_thread.py": "import leaf_of_thread\n",
        **dict.fromkeys(("leaf.py", "leaf_of_thread.py", "after.py"), ""),
    }
    traced = both(tmp_path, program, files, mode)
    for name in ("inner_one", "inner_two", "in_thread"):
        assert traced.parent(traced.load(name)) == "runs_a_loop"
    assert traced.parent(traced.load("leaf")) == "inner_one"
    assert traced.parent(traced.load("leaf_of_thread")) == "in_thread"
    assert traced.parent(traced.load("after")) is None


@pytest.mark.parametrize("mode", MODES)
def test_a_coroutine_whose_import_is_cancelled_or_fails(mode, tmp_path):
    """A body that raises CancelledError, a timeout around an import, a failure in a task: as without us."""
    program = """
    import asyncio
    async def attempt(name):
        try:
            async with asyncio.timeout(30):
                __import__(name)
        except BaseException as error:
            print(name, type(error).__name__, *error.args)
    async def main():
        for name in ("cancels", "fails", "fine"): await asyncio.create_task(attempt(name))
    asyncio.run(main())
    import last
    """
    files = {
        "cancels.py": "import asyncio\nraise asyncio.CancelledError('by a body')\n",
        "fails.py": "import below_fails\nraise OSError('no')\n",
        **dict.fromkeys(("below_fails.py", "fine.py", "last.py"), ""),
    }
    traced = both(tmp_path, program, files, mode)
    outcomes = {name: traced.load(name)["outcome"] for name in ("cancels", "fails", "fine", "last")}
    assert outcomes == {"cancels": "failed", "fails": "failed", "fine": "ok", "last": "ok"}
    assert traced.load("cancels")["error"]["type"].endswith("CancelledError")
    assert traced.parent(traced.load("last")) is None
