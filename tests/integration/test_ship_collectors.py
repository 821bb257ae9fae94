"""``importtrace ship``, 20,000 imports, and a collector that this project did not write behind trouble."""

from __future__ import annotations

import random
import signal
import time

import pytest
from otlp_support import make, record
from ship_support import end, start

from importtrace import tracefile

pytest_plugins = ["receivers"]
pytestmark = pytest.mark.integration

IMPORTS = 20_000
NAMES = {"python.startup"} | {f"import m{id}" for id in range(1, IMPORTS + 1)}


@pytest.fixture(scope="module")
def start_up():
    """The text of a trace file."""
    loads = [record("load", id, f"m{id}", parent=id // 2 or None) for id in range(1, IMPORTS + 1)]
    return tracefile.dumps(
        make(*loads, ready_ns=10**10, host="node", argv0="/srv/shop.py", end="exit")
    )


@pytest.fixture
def folder(tmp_path, start_up):
    """With that trace file in it."""
    (tmp_path / "t.jsonl").write_text(start_up)
    return tmp_path


def _ship(folder, endpoint, **environ):
    return start(folder, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **environ)


def _end(process):
    return end(process, timeout_s=300)


def _all_arrived_once(agent):
    spans = agent.spans()
    assert len(spans) == IMPORTS + 1
    assert {span.name for span in spans} == NAMES
    assert len({span.id for span in spans}) == IMPORTS + 1
    ids = {span.name: span.id for span in spans}
    for span in spans:
        if span.name not in ("python.startup", "import m1"):
            assert span.parent == ids[f"import m{int(span.name[8:]) // 2}"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_all_arrive_once(agent, folder, protocol, compression):
    """Over both protocols; a second run adds none."""
    endpoint = agent.grpc if protocol == "grpc" else agent.http
    environ = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
    }
    for _ in range(2):
        code, _, err = _end(_ship(folder, endpoint, **environ))
        assert (code, err) == (0, "")
    _all_arrived_once(agent)


def test_a_collector_that_is_absent_for_a_minute(agent, front, folder):
    """Nothing is lost, nothing comes twice, and memory does not grow with the wait."""
    process = _ship(folder, front.url)
    assert "waiting for it" in process.stderr.readline()
    time.sleep(2)
    before = _memory_kb(process.pid)
    time.sleep(58)
    grown = _memory_kb(process.pid) - before
    front.start()
    code, _, err = _end(process)
    assert code == 0, err
    assert "takes spans again, after" in err
    _all_arrived_once(agent)
    assert grown < 4096, f"{grown} kB more after a minute of waiting"


def test_a_collector_that_goes_away_in_between(agent, front, folder):
    """It is restarted after ten requests."""
    front.start()
    front.rule = lambda number: 0.02
    process = _ship(folder, front.url)
    deadline = time.monotonic() + 60
    while front.requests < 10:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    front.rule = lambda number: (503, {})
    time.sleep(0.3)  # what it has taken on is answered
    front.stop()
    assert "waiting for it" in process.stderr.readline()
    front.rule = lambda number: None
    front.start()
    assert _end(process)[0] == 0
    _all_arrived_once(agent)


def test_a_slow_collector(agent, front, folder):
    """A second and a half for each of the first requests: none is sent again meanwhile."""
    front.rule = lambda number: 1.5 if number <= 6 else 0.01
    front.start()
    code, _, err = _end(_ship(folder, front.url))
    assert (code, err) == (0, "")
    _all_arrived_once(agent)


def test_a_collector_that_answers_errors(agent, front, folder):
    """Every other request fails, in each of the ways there are; 400 is one that is not believed."""
    errors = [
        (429, {"Retry-After": "1"}),
        (503, {"Retry-After": "1"}),
        (503, {}),
        (400, {}),
        (500, {}),
    ]

    def rule(number):
        if number % 9 == 0 and front.refused < 2 * len(errors):
            return errors[front.refused % len(errors)]
        return None

    front.rule = rule
    front.start()
    code, _, err = _end(_ship(folder, front.url))
    assert code == 0, err
    assert front.refused >= 4
    _all_arrived_once(agent)


def test_killed_again_and_again(agent, front, folder):
    """SIGKILL at random moments: every span comes, and twice only what was under way."""
    front.rule = lambda number: 0.05
    front.start()
    generator = random.Random(20_000)
    kills = 0
    while True:
        process = _ship(folder, front.url)
        until = front.requests + generator.randint(1, 12)
        while process.poll() is None and front.requests < until:
            time.sleep(0.005)
        time.sleep(generator.random() * 0.08)
        if process.poll() is None:
            process.kill()
            kills += 1
        _end(process)
        if process.returncode == 0:
            break
        assert kills < 60
    spans = agent.spans()
    assert kills >= 3
    assert {span.name for span in spans} == NAMES
    assert len({span.id for span in spans}) == IMPORTS + 1
    assert len(spans) - (IMPORTS + 1) <= 512 * kills


def test_ctrl_c_between_requests_sends_nothing_twice(agent, front, folder):
    """The request under way is waited for, and noted."""
    front.rule = lambda number: 0.1
    front.start()
    process = _ship(folder, front.url)
    deadline = time.monotonic() + 60
    while front.requests < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    code, _, err = _end(process)
    assert code == 130
    assert "spans left; run it again" in err
    front.rule = lambda number: None
    assert _end(_ship(folder, front.url))[0] == 0
    _all_arrived_once(agent)


def _memory_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
