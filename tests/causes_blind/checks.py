"""Runs the programs and compares what was said with what is true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import Program, Says

HERE = Path(__file__).parent


def run(program: Program, mode: str = "auto") -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What was said of each exception that the program judged, and its files as they were at the end."""
    with tempfile.TemporaryDirectory(prefix="blind-") as name:
        folder = Path(name).resolve()
        for path, text in program.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(HERE / "support_judge.py"), str(folder), program.entry, mode],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        last = done.stdout.rpartition("\n@@")[2]
        assert done.returncode == 0, f"{program.name}: {done.returncode}\n{done.stderr}"
        files = {
            path: (folder / path).read_text(encoding="utf-8", errors="replace")
            for path in program.files
        }
        return ast.literal_eval(last.replace(f"{folder}/", "")), files


def run_all(programs: list[Program], mode: str = "auto") -> dict[str, list[str]]:
    """The faults found in each program; two processes at a time."""
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda one: faults(one, *run(one, mode)), programs)
        return {one.name: wrong for one, wrong in zip(programs, found, strict=True) if wrong}


def faults(program: Program, said: list[dict[str, Any]], files: dict[str, str]) -> list[str]:
    """Each way in which what was said is wrong or misses something; empty when all is right."""
    if not program.judged:
        return [fault for one in said for fault in _unreal(one["cause"] or {}, files)]
    by_label = {one["label"]: one for one in said}
    wrong = []
    for label in by_label.keys() - program.expect.keys():
        one = by_label[label]
        wrong.append(f"{label}: not expected: {one['type']}: {one['message']}")
    for label, says in program.expect.items():
        if label not in by_label:
            wrong.append(f"{label}: the program did not judge it")
            continue
        one = by_label[label]
        about = [*_judged(program, says, one), *_unreal(one["cause"] or {}, files)]
        wrong += [f"{label}: {fault}" for fault in about]
    return wrong


def _judged(program: Program, says: Says, one: dict[str, Any]) -> list[str]:
    cause, wrong = one["cause"], []
    if sum(note.startswith("importtrace: ") for note in one["notes"]) > 1:
        wrong.append("more than one note")
    for pattern in says.never:
        if re.search(pattern, one["text"]):
            wrong.append(f"says {pattern!r}")
    if cause is None:
        return wrong if "" in says.allowed else [*wrong, f"no cause; wanted {says.kinds}"]
    if cause["kind"] not in says.allowed:
        return [*wrong, f"kind {cause['kind']!r}, wanted {says.kinds!r}"]

    def place(key: str, want: str | None) -> None:
        if want is None:
            return
        got = cause.get(key)
        at = got and (got.get("file"), got.get("line"))
        optional, want = want.endswith("?"), want.rstrip("?")
        if want == "-":
            if at:
                wrong.append(f"{key} is {at}, wanted none")
        elif not at:
            if not optional:
                wrong.append(f"no {key}, wanted {want}")
        elif at not in [program.marks[mark] for mark in want.split("|")]:
            wrong.append(f"{key} is {at}, wanted {want} {program.marks.get(want, '')}")

    place("root", says.root)
    place("bound_at", says.bound)
    place("caught_at", says.caught)
    chain = [(link.get("file"), link.get("line")) for link in cause.get("chain", ())]
    if says.last is not None and (not chain or chain[-1] != program.marks[says.last]):
        wrong.append(f"chain ends at {chain[-1:]}, wanted {program.marks[says.last]}")
    for mark in says.through.split():
        if program.marks[mark] not in chain:
            wrong.append(f"chain {chain} does not pass {mark} {program.marks[mark]}")
    if says.module is not None and cause.get("module") not in says.module.split("|"):
        wrong.append(f"module {cause.get('module')!r}, wanted {says.module!r}")
    if says.cycle is not None:
        got = tuple(step["module"] for step in cause.get("cycle", ()))
        turns = [says.cycle[at:] + says.cycle[:at] for at in range(len(says.cycle))]
        if got and got[0] != got[-1]:
            wrong.append(f"cycle {got} is not closed")
        if got[:-1] not in (turns or [()]):
            wrong.append(f"cycle {got}, wanted {says.cycle}")
    if says.thread is not None:
        got_thread = cause.get("root", {}).get("thread", {}).get("name")
        if got_thread != says.thread.rstrip("?") and not (
            got_thread is None and says.thread.endswith("?")
        ):
            wrong.append(f"root thread {got_thread!r}, wanted {says.thread!r}")
    if says.note is not None and bool(one["notes"]) != says.note:
        wrong.append(f"note: {bool(one['notes'])}, wanted {says.note}")
    wrong += [f"does not say {p!r}" for p in says.says if not re.search(p, one["text"])]
    return wrong


def _unreal(cause: dict[str, Any], files: dict[str, str]) -> list[str]:
    """Places and statements that are not in the files."""
    wrong = []
    for key in ("chain", "cycle"):
        for link in cause.get(key, ()):
            text = files.get(link.get("file", ""))
            if text is None:
                continue
            lines = text.replace("\ufeff", "").splitlines()
            line = link.get("line")
            if line is not None and not 1 <= line <= len(lines):
                wrong.append(f"{key}: {link['file']}:{line} is beyond the file")
            elif "statement" in link and line is not None:
                head = link["statement"].splitlines()[0].strip()
                here = "\n".join(lines[line - 1 :])
                if " ".join(head.split())[:30] not in " ".join(here.split()):
                    wrong.append(f"{key}: {link['file']}:{line} is not {head!r}")
    return wrong
