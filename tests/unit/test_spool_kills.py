"""Killed at any moment: what the file says is what the program was doing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from spool_support import environment, open_chains, write

from importtrace import spool

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the spool needs POSIX files")

KILLS = 10
DEPTH, WIDTH = 6, 12

BODY = """\
from witness import told
told("+{name}")
{imports}
told("-{name}")
"""


def generate(folder: Path) -> None:
    """Two trees of modules, one a thread; each module tells a witness that it begins and ends."""
    files = {
        "witness.py": """\
            import os, threading
            _files = {}
            def told(line):
                me = threading.get_ident()
                if me not in _files:
                    _files[me] = os.open(f"witness-{threading.current_thread().name}",
                                         os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.write(_files[me], line.encode() + b"\\n")
            """,
        "program.py": """\
            import importtrace; importtrace.install()
            import threading, witness
            def build():
                import right_00
            threading.Thread(target=build, name="right").start()
            import left_00
            """,
    }
    for side in ("left", "right"):
        for number in range(DEPTH * WIDTH):
            name = f"{side}_{number:02}"
            # each in the middle of a chain imports the next, and now and then a second one
            imports = [f"import {side}_{number + 1:02}"] if (number + 1) % DEPTH else []
            if number % DEPTH == 0 and number + DEPTH < DEPTH * WIDTH:
                imports.append(f"import {side}_{number + DEPTH:02}")
            files[f"{name}.py"] = BODY.format(name=name, imports="\n".join(imports))
    write(folder, files)


def _bodies(log: Path) -> list[str]:
    """The bodies that the witness saw begin and not end, outermost first."""
    stack: list[str] = []
    for line in log.read_text().splitlines() if log.exists() else []:
        if line[0] == "+":
            stack.append(line[1:])
        else:
            assert stack.pop() == line[1:]
    return stack


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_a_random_moment(tmp_path: Path, seed: int) -> None:
    """Each thread is where a witness outside saw it, and each link names the line that asked."""
    generate(tmp_path)
    folder = tmp_path / "spool"
    child = subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path, env=environment(folder))
    with child:
        deadline = time.monotonic() + 60
        while not (tmp_path / "witness-MainThread").exists() and child.poll() is None:
            assert time.monotonic() < deadline, "the program did not start"
        time.sleep(random.Random(seed).uniform(0, 0.1))
        child.kill()
    (path,) = spool.files(str(folder))
    trace = spool.read(path)
    assert trace.problems == ()
    if trace.header["end"] == "exit":  # the kill came after the last word, or not at all
        assert [_bodies(log) for log in tmp_path.glob("witness-*")] == [[], []]
        return
    assert trace.header["end"] == "died"
    chains = open_chains(trace)
    for thread in ("MainThread", "right"):
        seen = _bodies(tmp_path / f"witness-{thread}")
        told = [one for one in chains.get(thread, []) if one.module != "witness"]
        names = [one.module for one in told]
        # One import is at a turning point: begun and not yet running, or done and not yet over.
        assert names[: len(seen)] == seen
        assert len(names) - len(seen) in (0, 1)
        for outer, inner in pairwise(told):
            assert inner.parent == outer.id
            assert inner.importer is not None
            assert inner.importer.file == str(tmp_path / f"{outer.module}.py")
            assert inner.importer.statement == f"import {inner.module}"
