"""A search or a replay that is stopped: what was found by then is told, and no process is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from race_support import CYCLE, PARENTS_FIRST, write

from importtrace import tracefile
from importtrace.race import replay
from importtrace.race.report import text
from importtrace.race.search import explore

PATIENCE_S = 30.0


def started(*arguments, cwd):
    """The command, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "importtrace", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        start_new_session=True,
    )


def until(seen, what):
    """Bounded and named."""
    end = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def at_the_third_tick(phase):
    """A progress that interrupts, as Ctrl-C does, once three replays have been seen."""

    def tick(said, done, total):
        if said == phase and done == 3:
            raise KeyboardInterrupt

    return tick


@pytest.mark.skipif(PARENTS_FIRST, reason="this release has no such race (3.15)")
def test_ctrl_c_in_the_middle_of_a_proof_keeps_the_finding(package):
    """With the replays that were made by then, and the line to go on with."""
    report = explore(
        "ring",
        entries=["ring", "ring.right"],
        path=[package(CYCLE)],
        progress=at_the_third_tick("replays"),
    )
    assert report.interrupted
    assert report.failed
    [proof] = report.proofs
    assert (proof.replayed, proof.replays, proof.interrupted) == (3, 3, True)
    said = " ".join(text(report).split())
    assert "replayed 3/3" in said
    assert "Stopped before the rest of the proof" in said
    assert str(proof.schedule) in said
    assert "interrupted, so this is a part" in said


@pytest.mark.skipif(PARENTS_FIRST, reason="this release has no such race (3.15)")
def test_ctrl_c_before_the_proof_tells_what_was_seen(package, monkeypatch):
    """Once, and it says so."""

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("importtrace.race.proving.shrink", interrupted)
    report = explore("ring", entries=["ring", "ring.right"], path=[package(CYCLE)])
    assert report.interrupted
    assert [proof.replays for proof in report.proofs] == [0]
    assert "seen once" in text(report)


def test_ctrl_c_during_a_replay_tells_the_runs_that_were_made(package, tmp_path):
    """Exit code 130 of the command; of the function, a result that says so."""
    folder = package({"a.py": "import b\n", "b.py": "import a\na.NAME\n"})
    trace = tmp_path / "t.jsonl"
    code = f"""
import importtrace
importtrace.install(log="off", file={str(trace)!r})
try:
    import a
except AttributeError:
    pass
"""
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": folder}, check=True
    )
    done = replay.replay(
        tracefile.read(str(trace)), times=200, path=[folder], progress=at_the_third_tick("replay")
    )
    assert (done.interrupted, done.times, done.of) == (True, 3, 3)
    assert "stopped after 3 of 200 runs" in done.notes


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_when_the_command_is_killed(tmp_path, how):
    """A CI that is out of time kills only the command: what it had started ends by itself, soon."""
    said = tmp_path / "pid"
    body = f"import os\nopen({str(said)!r}, 'w').write(str(os.getpid()) + '.')\nwhile True: pass\n"
    folder = write(tmp_path / "code", {"spin.py": body})
    running = started("reproduce", "spin", "--path", folder, "--run-limit", "300", cwd=tmp_path)
    try:
        until(lambda: said.exists() and said.read_text().endswith("."), "the body has begun")
        pid = int(said.read_text()[:-1])
        assert alive(pid)
        running.send_signal(how)
        running.communicate(timeout=PATIENCE_S)
        until(lambda: not alive(pid), "the child has ended")
    finally:
        running.kill()


def test_json_of_a_stopped_search_is_whole(tmp_path):
    """One object with what was run, and exit code 130."""
    said = tmp_path / "said"
    body = f"open({str(said)!r}, 'w').close()\nimport time\ntime.sleep(600)\n"
    folder = write(tmp_path / "code", {"kit/__init__.py": "", "kit/m.py": body})
    running = started(
        "reproduce", "kit", "--path", folder, "--run-limit", "300", "--json", cwd=tmp_path
    )
    try:
        until(said.exists, "the body has begun")
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=PATIENCE_S)
    finally:
        running.kill()
    assert (running.returncode, err) == (130, "")
    assert "interrupted" in json.loads(out)["coverage"]
