"""Wrapping a method of somebody else's class, and taking the wrapper off again. Imports wrapt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable


def wrap_method(owner: type, name: str, wrapper: Callable[..., Any]) -> Callable[[], None]:
    """Put ``wrapper(wrapped, instance, args, kwargs)`` around ``owner.name``; returns the undo.

    The undo does nothing where something else has been put there since: what wraps ours then keeps
    working, and ours goes with it. Raises AttributeError where ``owner`` itself has no such method.
    """
    try:
        original = vars(owner)[name]
    except KeyError:
        raise AttributeError(f"{owner.__qualname__} defines no {name}") from None
    ours = wrapt.FunctionWrapper(original, wrapper)
    setattr(owner, name, ours)

    def undo() -> None:
        if vars(owner).get(name) is ours:
            setattr(owner, name, original)

    return undo
