"""``importtrace ship`` against a collector: each span once, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from exporters_support import failed, load, trace
from ship_support import OK, Collector, end, interrupt, ship, start, write
from spool_support import run

from importtrace import _spool_format as spool_format
from importtrace import tracefile


@pytest.fixture
def collector():
    """One that takes everything."""
    it = Collector()
    it.start()
    yield it
    it.paused.set()
    it.stop()


def test_all_of_a_trace_arrives_and_a_second_run_sends_nothing(collector, tmp_path):
    """What was accepted is noted beside the traces."""
    write(tmp_path, "t.jsonl", 1200)
    code, out, err = ship(tmp_path, **collector.environ)
    assert (code, err) == (0, "")
    assert out == "pid 4711 (app.py): 1,201 spans sent\n"
    assert len(set(collector.ids)) == len(collector.ids) == 1201
    assert collector.names["python.startup"] == 1
    assert ship(tmp_path, **collector.environ) == (
        0,
        "nothing to send: no trace, or all of it was sent before\n",
        "",
    )
    assert len(collector.ids) == 1201


def test_parents_and_resource_are_the_trace_s(collector, tmp_path):
    """Not those of the process that ships."""
    resource = {"service.name": "shop", "k8s.pod.name": "shop-1", "host.name": "node-1"}
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    write(tmp_path, "t.jsonl", 3, resource=resource, traceparent=parent)
    environ = collector.environ | {"OTEL_SERVICE_NAME": "shipper"}
    assert ship(tmp_path, **environ)[0] == 0
    spans = {span.name: span for span in collector.spans}
    assert spans["import m3"].parent_span_id == spans["import m1"].span_id
    assert spans["python.startup"].parent_span_id.hex() == "b7ad6b7169203331"
    assert {span.trace_id.hex() for span in collector.spans} == {parent.split("-")[1]}
    assert collector.resources[0].items() >= resource.items()


def test_the_same_trace_has_the_same_ids_wherever_it_is_shipped_from(collector, tmp_path):
    """A copy that is shipped by somebody else adds no span that a collector cannot tell."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, f"{name}.jsonl", 20)
        assert ship(tmp_path / name, **collector.environ)[0] == 0
    assert len(collector.ids) == 42
    assert len(set(collector.ids)) == 21


def test_killed_half_way_it_goes_on_where_it_was(collector, tmp_path):
    """SIGKILL while the second request waits for its answer: that one is sent again, no other."""

    def judge(number, spans):
        if number == 2:
            collector.paused.clear()
            return 200, {}, False  # it had not come to keep them
        return OK

    collector.judge = judge
    write(tmp_path, "t.jsonl", 1200)
    process = start(tmp_path, **collector.environ)
    deadline = time.monotonic() + 30
    while collector.requests < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    end(process)
    collector.paused.set()
    assert ship(tmp_path, **collector.environ)[0] == 0
    assert len(collector.ids) == len(set(collector.ids)) == 1201


def test_an_absent_collector_is_waited_for(collector, tmp_path):
    """One line when it is missed, one when it is back, and every span once."""
    collector.stop()
    write(tmp_path, "t.jsonl", 600)
    process = start(tmp_path, **collector.environ)
    missed = process.stderr.readline()
    assert "takes no spans (Connection refused)" in missed
    collector.start()
    code, _, err = end(process)
    assert code == 0
    assert len(err.splitlines()) == 1
    assert "takes spans again, after" in err
    assert len(collector.ids) == len(set(collector.ids)) == 601


def test_it_does_not_wait_for_ever(collector, tmp_path):
    """Once means once: what is left is said, and the exit code tells."""
    collector.stop()
    write(tmp_path, "t.jsonl", 5)
    code, out, err = ship(tmp_path, "--wait", "0.2", "--json", **collector.environ)
    assert code == 2
    assert "took no spans for 0.2 s (Connection refused)" in err
    assert "6 spans left; run it again to send them" in err
    assert json.loads(out)["left"] == 6


def test_ctrl_c_ends_it_with_a_line_that_says_what_is_left(collector, tmp_path):
    """And the next run sends just that."""
    collector.stop()
    write(tmp_path, "a.jsonl", 5, pid=1)
    write(tmp_path, "b.jsonl", 7, pid=2)
    process = start(tmp_path, **collector.environ)
    assert "waiting for it" in process.stderr.readline()
    code, _, err = interrupt(process)
    assert code == 130
    assert err.startswith("importtrace: interrupted: ")
    assert "0 spans sent, 14 spans left; run it again" in err
    assert len(err.splitlines()) == 1
    collector.start()
    assert ship(tmp_path, **collector.environ)[0] == 0
    assert len(collector.ids) == len(set(collector.ids)) == 14


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"Retry-After": "1"}), (400, {})], ids=["429", "400"]
)
def test_errors_for_a_while_lose_nothing(collector, tmp_path, status, headers):
    """400 means bad data, but a collector that says it of everything is not believed."""

    def judge(number, spans):
        collector.empty = status if number < 2 else 200
        return (status, headers, False) if number <= 2 else OK

    collector.judge = judge
    write(tmp_path, "t.jsonl", 40)
    code, out, err = ship(tmp_path, **collector.environ)
    assert code == 0, err
    assert "41 spans sent" in out
    assert len(collector.ids) == len(set(collector.ids)) == 41


def test_a_span_that_the_collector_will_not_have_is_left_out_and_counted(collector, tmp_path):
    """All others arrive; the root says how many did not."""

    def judge(number, spans):
        bad = {"import m7", "import m30"} & {span.name for span in spans}
        return (400, {}, False) if bad else OK

    collector.judge = judge
    write(tmp_path, "t.jsonl", 40)
    code, out, err = ship(tmp_path, **collector.environ)
    assert code == 2
    assert out == "pid 4711 (app.py): 39 spans sent, 2 refused by the collector\n"
    assert "refuses the span 'import m7': it answers 400 Bad Request" in err
    assert collector.root()["python.import.refused"] == 2
    assert len(collector.ids) == len(set(collector.ids)) == 39
    assert ship(tmp_path, **collector.environ)[0] == 0  # it is not tried again
    assert len(collector.ids) == 39


def test_a_request_that_is_too_large_is_divided(collector, tmp_path):
    """413 is about the request, not about any span."""
    collector.judge = lambda number, spans: OK if len(spans) <= 10 else (413, {}, False)
    write(tmp_path, "t.jsonl", 60)
    code, _, err = ship(tmp_path, **collector.environ)
    assert (code, err) == (0, "")
    assert len(collector.ids) == len(set(collector.ids)) == 61


def test_what_the_collector_takes_out_is_said(collector, tmp_path):
    """OTLP's partial success, which the SDK's exporters do not report."""

    def judge(number, spans):
        collector.rejects = 3 if number == 1 else 0
        return OK

    collector.judge = judge
    write(tmp_path, "t.jsonl", 10)
    code, _, err = ship(tmp_path, **collector.environ)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "took 3 spans out of what it accepted: too old" in err
    assert collector.root()["python.import.refused"] == 3


def test_losses_of_the_recording_are_on_the_root_and_said(collector, tmp_path):
    """Records over the recorder's bound, and lines that cannot be read."""
    path = write(tmp_path, "t.jsonl", 4, dropped=17)
    with path.open("a") as file:
        file.write('not json\n{"type":"import","kind":')
    code, out, _ = ship(path, **collector.environ)
    assert code == 0
    assert "17 records were dropped while recording, 2 lines cannot be read" in out
    root = collector.root()
    assert (root["python.import.dropped"], root["python.import.unreadable"]) == (17, 2)


def test_follow_sends_what_comes_and_what_is_added_to_it(collector, tmp_path):
    """A trace file is written at the ready mark and again, whole and renumbered, at exit."""
    process = start(tmp_path, "--follow", "--interval", "0.05", **collector.environ)
    records = [load(1, "a"), load(2, "b")]
    running = load(3, "slow", duration_ns=None, self_ns=None, outcome=None)
    target = tmp_path / "t.jsonl"
    header = {"host": "node-1", "ready_ns": 9}
    tracefile.write(trace(*records, running, end="ready", **header), str(target))
    collector.await_spans(3)
    assert collector.names.keys() == {"import a", "import b", "python.startup"}
    late = [load(1, "earlier", start_ns=5), load(2, "a", start_ns=records[0].start_ns)]
    late += [load(3, "b", start_ns=records[1].start_ns), load(4, "slow", start_ns=running.start_ns)]
    tracefile.write(trace(*late, end="exit", **header), str(target))
    collector.await_spans(5)
    write(tmp_path, "other.jsonl", 2, pid=99)
    collector.await_spans(8)
    code, _, err = interrupt(process)
    assert code == 130
    assert "interrupted; 8 spans sent, nothing left" in err
    assert max(collector.names.values()) == 2  # two processes, two roots
    assert len(set(collector.ids)) == 8


def test_once_sends_what_an_ended_process_left_unfinished(collector, tmp_path):
    """After the fact nothing more will come: the load that was running is the interesting one."""
    running = load(2, "hangs", duration_ns=None, self_ns=None, outcome=None)
    path = tmp_path / "t.jsonl"
    tracefile.write(trace(load(1, "a"), running, end="exit"), str(path))
    assert ship(path, **collector.environ)[0] == 0
    assert collector.names.keys() == {"import a", "import hangs", "python.startup"}


def test_hostile_files_harm_nothing(collector, tmp_path):
    """Each costs one line at most; the good one beside them arrives."""
    write(tmp_path, "good.jsonl", 5, pid=5)
    head = '{"type":"trace","schema":1,"start":1,"pid":1'
    (tmp_path / "deep.jsonl").write_text(head + "}\n" + "[" * 100_000 + "\n")
    (tmp_path / "huge_start.jsonl").write_text(
        '{"type":"trace","schema":1,"start":1' + "0" * 400 + "}\n"
    )
    (tmp_path / "odd.jsonl").write_text(head + ',"resource":7,"argv0":["x"],"ready_ns":"soon"}\n')
    line = {"type": "import", "kind": "load", "id": 1, "module": "m", "thread": {"id": 1 << 80}}
    line |= {"start_ns": -(10**30), "duration_ns": 10**30, "cause": {"root": "no object"}}
    (tmp_path / "numbers.jsonl").write_text(head + "}\n" + json.dumps(line) + "\n")
    (tmp_path / "binary.jsonl").write_bytes(b'{"type":"trace"' + os.urandom(1000))
    for number, size in enumerate((0, 100, 5000, 100_000)):
        junk = spool_format.MAGIC + os.urandom(size)
        (tmp_path / f"{number}.spool").write_bytes(junk)
    (tmp_path / "secret.jsonl").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.jsonl")
    code, out, err = ship(tmp_path, **collector.environ)
    assert "Traceback" not in err
    assert "pid 5 (app.py): 6 spans sent" in out
    assert all(line.startswith("importtrace: ") for line in err.splitlines())
    assert code == 2
    assert "damaged" in err


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        (["/nowhere"], {}, "cannot read '/nowhere': No such file or directory"),
        ([__file__], {}, "is no trace; name a trace file or their folder"),
        (["."], {"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED"),
        (
            ["."],
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"},
            "'carrier-pigeon' is not supported",
        ),
        ([".", "--wait", "soon"], {}, "'soon' is no number of seconds"),
        ([".", "--max-spans", "0"], {}, "'0' is no number of spans"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, arguments, environ, expected):
    """Exit code 2, what and what next."""
    monkeypatch.chdir(tmp_path)
    code, out, err = ship(*arguments, **environ)
    assert (code, out) == (2, "")
    assert expected in err
    assert len(err.splitlines()) == 1


def test_two_at_once_are_not_let(collector, tmp_path):
    """They would send everything twice."""
    process = start(tmp_path, "--follow", **collector.environ)
    try:
        write(tmp_path, "t.jsonl", 1)
        collector.await_spans(2)
        code, _, err = ship(tmp_path, **collector.environ)
    finally:
        interrupt(process)
    assert code == 2
    assert "another importtrace ship works with" in err


def test_a_budget_leaves_counts(collector, tmp_path):
    """--max-spans, as for what a process sends itself."""
    write(tmp_path, "t.jsonl", 50)
    assert ship(tmp_path, "--max-spans", "10", **collector.environ)[0] == 0
    assert len(collector.ids) == 10
    assert collector.root()["python.import.folded.total"] == 41


def test_sigterm_ends_it_as_ctrl_c_does(collector, tmp_path):
    """So end containers."""
    process = start(tmp_path, "--follow", "--interval", "0.05", **collector.environ)
    write(tmp_path, "t.jsonl", 1)
    collector.await_spans(2)
    process.send_signal(signal.SIGTERM)
    code, _, err = end(process)
    assert code == 128 + signal.SIGTERM
    assert err == "importtrace: interrupted; 2 spans sent, nothing left\n"


def test_failures_keep_their_exception(collector, tmp_path):
    """Shipped spans hold what exported ones do."""
    path = tmp_path / "t.jsonl"
    tracefile.write(trace(failed(1, "bad")), str(path))
    environ = collector.environ | {"OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN": "logs"}
    assert ship(path, **environ)[0] == 0
    (bad,) = [span for span in collector.spans if span.name == "import bad"]
    assert [event.name for event in bad.events] == ["exception"]


@pytest.mark.skipif(os.name != "posix", reason="the spool needs POSIX files")
def test_a_spool_that_was_full_is_not_called_damaged(collector, tmp_path):
    """What is said is what the file says; it has no lines that could not be read."""
    (path,) = run(tmp_path, "import json\n").files
    with open(path, "r+b") as file:
        file.seek(spool_format.AT_FULL)
        file.write(b"\1")
    code, out, err = ship(path, **collector.environ)
    assert (code, err) == (0, "")
    assert "spans sent, the file was full: later imports are missing" in out
    assert "lines" not in out


SPOOLED = """
import importtrace
importtrace.install()
import json.tool
import hangs
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_spool_of_a_process_that_is_killed(collector, tmp_path):
    """What was over is sent while it runs; where it stood is sent when it is dead, the root with it."""
    spool = tmp_path / "spool"
    (tmp_path / "hangs.py").write_text(
        "print('inside', flush=True)\nimport time; time.sleep(100)\n"
    )
    shipping = start(spool, "--follow", "--interval", "0.05", **collector.environ)
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ |= {
        "IMPORTTRACE_SPOOL": str(spool),
        "IMPORTTRACE_LOG": "off",
        "IMPORTTRACE_SPANS": "off",
    }
    environ |= {"OTEL_SERVICE_NAME": "shop", "PYTHONPATH": str(tmp_path)}
    program = subprocess.Popen(
        [sys.executable, "-c", SPOOLED], env=environ, stdout=subprocess.PIPE, text=True
    )
    try:
        assert program.stdout.readline() == "inside\n"
        deadline = time.monotonic() + 30
        while not collector.names["import json.tool"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not collector.names["python.startup"]
        program.kill()
        program.wait(30)
        while not collector.names["python.startup"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        program.kill()
        program.stdout.close()
        code, _, _err = interrupt(shipping)
    assert code == 130
    assert len(set(collector.ids)) == len(collector.ids), collector.names
    (hangs,) = [span for span in collector.spans if span.name == "import hangs"]
    assert "python.import.unfinished" in {a.key for a in hangs.attributes}
    assert {resource["service.name"] for resource in collector.resources} == {"shop"}
