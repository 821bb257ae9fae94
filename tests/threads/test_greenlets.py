"""Greenlets that switch in the middle of an import: each has its own stack of loads."""

from __future__ import annotations

import pytest
from capture_support import run

FILES = {
    "hub.py": "import greenlet\nall_of_them = []\n",
    "a.py": "import hub\nhub.all_of_them[1].switch()\nimport after_a\n",
    "b.py": "import hub\nhub.all_of_them[0].switch()\nimport after_b\n",
    "after_a.py": "",
    "after_b.py": "",
    "last.py": "",
}
PLAIN = """
import greenlet, hub
hub.all_of_them += [greenlet.greenlet(lambda n=n: __import__(n)) for n in ("a", "b")]
for one in hub.all_of_them: one.switch()
import last
"""
GEVENT = """
from gevent import monkey; monkey.patch_all()
import gevent
gevent.joinall([gevent.spawn(__import__, "ga"), gevent.spawn(__import__, "gb")])
import last
"""


@pytest.mark.parametrize("mode", ["auto", "finder"])
def test_plain_greenlets_do_not_disturb_the_program(mode, tmp_path):
    """All loads are there and well, and what comes afterwards has no parent."""
    pytest.importorskip("greenlet", reason="greenlet is not installed")
    result = run(tmp_path, PLAIN, mode=mode, files=FILES, stall_seconds=0).ok()
    assert {result.load(name)["outcome"] for name in ("a", "b", "after_a", "after_b")} == {"ok"}
    assert result.parent(result.load("last")) is None


@pytest.mark.parametrize("mode", ["auto", "finder"])
def test_plain_greenlets_do_not_mix(mode, tmp_path):
    """The parent is the load of the greenlet's own."""
    pytest.importorskip("greenlet", reason="greenlet is not installed")
    result = run(tmp_path, PLAIN, mode=mode, files=FILES, stall_seconds=0).ok()
    assert result.parent(result.load("after_a")) == "a"
    assert result.parent(result.load("after_b")) == "b"


def test_a_module_that_another_greenlet_is_building(tmp_path):
    """To importlib both are one thread, which gets the module half-built: a partial hand-out. The load
    goes on all the same, and ends where it ends."""
    pytest.importorskip("greenlet", reason="greenlet is not installed")
    files = {
        "hub.py": "import greenlet\nfirst = greenlet.getcurrent()\n",
        "half.py": "import hub\nhub.first.switch()\nimport after_half\nlate = 1\n",
        "user.py": "import half\nhas = hasattr(half, 'late')\n",
        "after_half.py": "",
        "last.py": "",
    }
    program = """
    import greenlet, hub
    one = greenlet.greenlet(lambda: __import__("half"))
    one.switch()
    import user
    print(user.has)
    one.switch()
    import last
    """
    plain = run(tmp_path / "a", program, mode=None, files=files).ok()
    traced = run(tmp_path / "b", program, files=files, stall_seconds=0).ok()
    assert traced.out == plain.out == "False\n"
    half, user = traced.load("half"), traced.load("user")
    assert half["outcome"] == "ok"
    assert traced.parent(traced.load("after_half")) == "half"
    assert half["start_ns"] + half["duration_ns"] > user["start_ns"] + user["duration_ns"]
    assert traced.parent(user) is None
    request = traced.request("half")
    assert request["outcome"] == "partial"
    assert traced.parent(request) == "user"
    assert request["of"] == half["id"]
    assert request["thread"]["serial"] != half["thread"]["serial"]
    assert traced.parent(traced.load("last")) is None


@pytest.mark.parametrize("mode", ["auto", "finder"])
def test_a_greenlet_that_is_killed_in_the_middle_of_a_body(mode, tmp_path):
    """Its load has failed with GreenletExit; what comes next, also in a greenlet at the same place in
    memory, is not below it."""
    pytest.importorskip("greenlet", reason="greenlet is not installed")
    program = """
    import gc, greenlet, hub
    for turn in range(20):
        one = greenlet.greenlet(lambda: __import__("stays"))
        one.switch()
        one.throw()
        del one
        two = greenlet.greenlet(lambda turn=turn: __import__(f"fine{turn}"))
        two.switch()
        del two
    import last
    """
    files = {
        "hub.py": "import greenlet\nfirst = greenlet.getcurrent()\n",
        "stays.py": "import hub\nhub.first.switch()\n",
        "last.py": "",
        **{f"fine{turn}.py": "" for turn in range(20)},
    }
    traced = run(tmp_path, program, mode=mode, files=files, stall_seconds=0).ok()
    assert traced.err == ""
    stays = traced.loads("stays")
    assert [one["outcome"] for one in stays] == ["failed"] * 20
    assert {one["error"]["type"].rpartition(".")[2] for one in stays} == {"GreenletExit"}
    for turn in range(20):
        assert traced.parent(traced.load(f"fine{turn}")) is None
    assert traced.parent(traced.load("last")) is None


@pytest.mark.parametrize("mode", ["auto", "finder"])
def test_gevent_does_not_mix(mode, tmp_path):
    """gevent's monkey patching gives each greenlet an ident of its own."""
    pytest.importorskip("gevent", reason="gevent is not installed")
    files = {
        "ga.py": "import gevent\ngevent.sleep(0.01)\nimport after_a\n",
        "gb.py": "import gevent\ngevent.sleep(0.005)\nimport after_b\n",
        **dict.fromkeys(("after_a.py", "after_b.py", "last.py"), ""),
    }
    result = run(tmp_path, GEVENT, mode=mode, files=files, stall_seconds=0).ok()
    assert result.parent(result.load("after_a")) == "ga"
    assert result.parent(result.load("after_b")) == "gb"
    assert result.parent(result.load("last")) is None
