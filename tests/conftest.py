"""What every test keeps: the interpreter's import machinery is left as it was found."""

from __future__ import annotations

import _frozen_importlib
import _frozen_importlib_external
import builtins
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def _ours(thing: object) -> bool:
    """Whether we put it there; a package that a test imports may add a finder of its own."""
    origin = getattr(thing, "__module__", None) or type(thing).__module__
    return str(origin).partition(".")[0] == "importtrace"


def _global_state() -> dict[str, Any]:
    """All that install() may touch, by identity."""
    state: dict[str, Any] = {
        "builtins.__import__": builtins.__import__,
        "sys.excepthook": sys.excepthook,
        "sys.unraisablehook": sys.unraisablehook,
        "threading.excepthook": threading.excepthook,
        "threading.Thread.start": threading.Thread.start,
        "threading.Thread.run": threading.Thread.run,
        "sys.getprofile()": sys.getprofile(),
    }
    for owner in (
        _frozen_importlib,
        _frozen_importlib_external,
        _frozen_importlib._ModuleLock,
        _frozen_importlib.ModuleSpec,
        _frozen_importlib_external.PathFinder,
        _frozen_importlib_external.SourceFileLoader,
    ):
        for name, value in vars(owner).items():
            state[f"{owner.__name__}.{name}"] = value
    return state


@pytest.fixture(autouse=True)
def global_state_as_before() -> Iterator[None]:
    """A test that leaves a hook behind fails here, and not in whichever comes next."""
    before = _global_state()
    lists = {"sys.meta_path": sys.meta_path, "sys.path_hooks": sys.path_hooks}
    entries = {name: list(value) for name, value in lists.items()}
    yield
    after = _global_state()
    changed = sorted(
        name for name in before.keys() | after.keys() if before.get(name) is not after.get(name)
    )
    assert not changed, f"changed by this test and not put back: {', '.join(changed)}"
    assert sys.meta_path is lists["sys.meta_path"]
    assert sys.path_hooks is lists["sys.path_hooks"]
    for name, value in lists.items():
        left = [entry for entry in value if _ours(entry)]
        assert not left, f"left in {name} by this test: {left}"
        known = [entry for entry in value if any(entry is old for old in entries[name])]
        assert known == entries[name], f"{name} lost an entry or changed its order"
