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


@pytest.mark.xfail(reason="a thread's greenlets share one ident and so one stack of loads")
@pytest.mark.parametrize("mode", ["auto", "finder"])
def test_plain_greenlets_do_not_mix(mode, tmp_path):
    """The parent is the load of the greenlet's own."""
    pytest.importorskip("greenlet", reason="greenlet is not installed")
    result = run(tmp_path, PLAIN, mode=mode, files=FILES, stall_seconds=0).ok()
    assert result.parent(result.load("after_a")) == "a"
    assert result.parent(result.load("after_b")) == "b"


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
