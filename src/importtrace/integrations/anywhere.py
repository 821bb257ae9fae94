"""The place that the user names: ``ready_at="package.module:Class.method"`` (docs/ready-points.md)."""

import sys

from importtrace.integrations._wrap import when_called, when_returned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def patch(
    module: "Any",
    mark_ready: "Callable[[str], object]",
    load: "Callable[[str], Any]" = __import__,
    point: str = "",
) -> "Callable[[], None]":
    """Follow what ``point`` names in ``module``; returns the undo.

    Raises AttributeError where there is nothing of that name, TypeError for what cannot be followed.
    """
    _, path, *after = point.split(":")
    *outer, name = path.split(".")
    owner = module
    for step in outer:
        # from a module only what is there: a lazy attribute must stay unloaded
        owner = vars(owner)[step] if _is_there(owner, step) else getattr(owner, step)
    if not isinstance(owner, type | type(sys)):
        owner = type(owner)  # of an object: of its class
    target = vars(owner).get(name)
    if isinstance(target, type):
        raise TypeError(f"{path} is a class; name a method of it, such as {path}.__init__")
    if target is not None and not callable(target) and not hasattr(target, "__func__"):
        raise TypeError(f"{path} is not a function")
    follow = when_returned if after else when_called
    return follow(owner, name, lambda: mark_ready(point), load)


def _is_there(owner: "Any", step: str) -> bool:
    if step in vars(owner):
        return True
    if isinstance(owner, type(sys)):
        raise AttributeError(f"{owner.__name__} has no {step}")
    return False
