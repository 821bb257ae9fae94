"""Whether an explanation says what is expected of it, and whether what it says is so.

Both functions return complaints, a line each; none means all is well.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpus.model import At, Fails

KINDS = {
    "circular",
    "thread_race",
    "failed_in_other_thread",
    "lock_order",
    "dependency_failed",
    "not_found",
    "shadowed",
    "missing_name",
    "native_library",
    "swallowed_earlier",
    "orphaned_lock",
    "blocked",
    "duplicate_module",
    "body_raised",
}
KEYS = {
    "kind": str,
    "module": str,
    "name": str,
    "summary": str,
    "message": str,
    "chain": list,
    "cycle": list,
    "partial": dict,
    "bound_at": dict,
    "root": dict,
    "waits": list,
    "caught_at": dict,
    "fingerprint": str,
    "hint": str,
}
STATES = {"body_running", "unbound", "failed"}


def _is(got: dict[str, Any] | None, where: At, root: Path) -> bool:
    """Whether a ``{"file", "line"}`` is that line."""
    if not got or "file" not in got:
        return False
    file = Path(got["file"])
    if where.text is None:
        return file.name == Path(where.file).name
    return file == root / where.file and got.get("line") == where.line(root)


def _show(got: dict[str, Any] | None) -> str:
    return (
        "nothing" if not got else f"{got.get('file')}:{got.get('line')} {got.get('statement', '')}"
    )


def mismatches(
    cause: dict[str, Any] | None, text: str | None, fails: Fails, root: Path
) -> list[str]:
    """What the case expects and the explanation does not say, or says and must not."""
    if cause is None:
        return [] if None in fails.kinds else [f"no explanation; expected {fails.kind}"]
    wrong = []

    def want(ok: bool, complaint: str) -> None:
        if not ok:
            wrong.append(complaint)

    want(cause["kind"] in fails.kinds, f"kind {cause['kind']!r}, expected {fails.kind!r}")
    if fails.module is not None:
        want(
            cause.get("module") == fails.module,
            f"module {cause.get('module')!r}, expected {fails.module!r}",
        )
    if fails.name is not None:
        want(
            cause.get("name") == fails.name, f"name {cause.get('name')!r}, expected {fails.name!r}"
        )
    for key in fails.absent:
        if key == "root":  # a failure without another behind it may name itself
            itself = (cause.get("root") or {}).get("message") in (None, cause.get("message"))
            want(itself, f"there is no other failure behind it, root is {cause.get(key)}")
        else:
            want(not cause.get(key), f"{key} must be absent, is {cause.get(key)}")
    if fails.cycle is not None:
        wrong += _cycle(cause.get("cycle") or [], fails, root)
    chain = cause.get("chain") or []
    if fails.starts is not None:
        want(
            bool(chain) and _is(chain[0], fails.starts, root),
            f"chain starts at {_show(chain and chain[0])}",
        )
    if fails.ends is not None:
        want(
            bool(chain) and _is(chain[-1], fails.ends, root),
            f"chain ends at {_show(chain and chain[-1])}",
        )
    for where in fails.through:
        want(any(_is(link, where, root) for link in chain), f"chain does not pass {where}: {chain}")
    if fails.partial is not None:
        wrong += _partial(cause.get("partial"), fails, root)
    if fails.bound_at is not None:
        places = fails.bound_at if isinstance(fails.bound_at, tuple) else (fails.bound_at,)
        got = cause.get("bound_at")
        want(
            any(_is(got, place, root) for place in places),
            f"bound_at {_show(got)}, expected {places}",
        )
    if fails.root is not None:
        wrong += _root(cause.get("root"), fails, root)
    if fails.caught_at is not None:
        got = cause.get("caught_at")
        want(_is(got, fails.caught_at, root), f"caught_at {_show(got)}, expected {fails.caught_at}")
    for waiter, module, holder in fails.waits:
        want(
            any(
                wait["thread"].get("name") == waiter
                and wait.get("for") == module
                and (wait.get("held_by") or {}).get("name", holder) == holder
                for wait in cause.get("waits") or []
            ),
            f"no wait of {waiter!r} for {module!r} held by {holder!r} in {cause.get('waits')}",
        )
    hint = (cause.get("hint") or "").lower()
    for word in fails.hint or ():
        want(word.lower() in hint, f"the hint does not say {word!r}: {cause.get('hint')!r}")
    for word in fails.says:
        want(word.lower() in (text or "").lower(), f"the text does not say {word!r}: {text!r}")
    for word in fails.says_not:
        want(word.lower() not in (text or "").lower(), f"the text says {word!r}: {text!r}")
    return wrong


def _cycle(cycle: list[dict[str, Any]], fails: Fails, root: Path) -> list[str]:
    """The same steps in the same order; where a cycle starts is open."""
    steps = fails.cycle or ()
    body = cycle[:-1]
    turns = [body[i:] + body[:i] for i in range(len(body))]
    for turn in turns:
        if len(turn) == len(steps) and all(
            got.get("module") == step.module and _is(got, step.where, root)
            for got, step in zip(turn, steps, strict=True)
        ):
            return []
    return [f"cycle {[(c.get('module'), _show(c)) for c in cycle]}, expected {steps}"]


def _partial(got: dict[str, Any] | None, fails: Fails, root: Path) -> list[str]:
    want = fails.partial
    assert want is not None
    if not got:
        return [f"no partial, expected {want}"]
    wrong = []
    if (got.get("module"), got.get("state")) != (want.module, want.state):
        wrong.append(
            f"partial {got.get('module')} {got.get('state')}, expected {want.module} {want.state}"
        )
    names = got.get("bound_names") or []
    wrong += [
        f"{name!r} was bound, bound_names has not got it: {names}"
        for name in want.bound
        if name not in names
    ]
    wrong += [
        f"{name!r} was not bound, bound_names has it" for name in want.unbound if name in names
    ]
    held = got.get("held_by") or {}
    if want.held_at is not None and not _is(held, want.held_at, root):
        wrong.append(f"held at {_show(held)}, expected {want.held_at}")
    if want.held_by is not None and (held.get("thread") or {}).get("name") != want.held_by:
        wrong.append(f"held by {held.get('thread')}, expected thread {want.held_by!r}")
    return wrong


def _root(got: dict[str, Any] | None, fails: Fails, root: Path) -> list[str]:
    want = fails.root
    assert want is not None
    if not got:
        return [f"no root, expected {want}"]
    wrong = []
    if got.get("type") != want.type:
        wrong.append(f"root is a {got.get('type')}, expected {want.type}")
    if want.where is not None and not _is(got, want.where, root):
        wrong.append(f"root at {_show(got)}, expected {want.where}")
    if want.modules and got.get("module") not in want.modules:
        wrong.append(f"root in module {got.get('module')!r}, expected one of {want.modules}")
    if want.thread is not None and (got.get("thread") or {}).get("name") != want.thread:
        wrong.append(f"root in thread {got.get('thread')}, expected {want.thread!r}")
    if want.message is not None and want.message not in (got.get("message") or ""):
        wrong.append(f"root says {got.get('message')!r}, expected {want.message!r}")
    return wrong


def broken_contract(cause: dict[str, Any]) -> list[str]:
    """What no cause may be: unknown keys, wrong shapes, lines that are not there."""
    wrong = [f"unknown key {key!r}" for key in cause.keys() - KEYS.keys()]
    wrong += [
        f"{key} is a {type(cause[key]).__name__}"
        for key in cause.keys() & KEYS.keys()
        if type(cause[key]) is not KEYS[key]
    ]
    wrong += [
        f"{key} is missing"
        for key in ("kind", "summary", "message", "chain", "fingerprint")
        if not cause.get(key)
    ]
    if cause.get("kind") not in KINDS:
        wrong.append(f"unknown kind {cause.get('kind')!r}")
    if cause.get("partial", {}).get("state", "failed") not in STATES:
        wrong.append(f"unknown state {cause['partial']['state']!r}")
    cycle = cause.get("cycle") or []
    if cycle and cycle[0].get("module") != cycle[-1].get("module"):
        wrong.append(f"the cycle does not end where it began: {[c.get('module') for c in cycle]}")
    wrong += [
        f"the chain passes importlib itself: {link['file']}"
        for link in cause.get("chain") or []
        if link.get("file", "").startswith("<frozen importlib")
        or "/importlib/__init__" in link.get("file", "")
    ]
    for place in _places(cause):
        wrong += _unreal(place)
    return wrong


def _places(value: Any) -> list[dict[str, Any]]:
    """Every dict at any depth."""
    if isinstance(value, dict):
        return [value, *(p for child in value.values() for p in _places(child))]
    if isinstance(value, list):
        return [p for child in value for p in _places(child)]
    return []


def _unreal(place: dict[str, Any]) -> list[str]:
    """A line its file has not got, a statement that is not there, a thread of another shape."""
    wrong = [
        f"thread is {place['thread']}"
        for _ in "1"
        if "thread" in place and set(place["thread"]) != {"id", "name"}
    ]
    file, line = place.get("file"), place.get("line")
    if line is None or file is None or file.startswith("<"):
        return wrong
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    if not 1 <= line <= len(lines):
        return [*wrong, f"{file} has no line {line}"]
    statement = place.get("statement")
    there = re.sub(r"\s+|#.*", "", lines[line - 1]).rstrip("(,\\")
    if statement is not None and (not there or there not in re.sub(r"\s+|#.*", "", statement)):
        wrong.append(f"{file}:{line} is {lines[line - 1]!r}, not {statement!r}")
    return wrong
