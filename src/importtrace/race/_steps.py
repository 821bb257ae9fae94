"""In the child: what is done to it before the target is imported (`scenario.SetUp`).

A step of one's own is a function named as "module:function"; it gets the arguments of its `SetUp`.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def env(name: str, value: "str | None") -> None:
    """A variable of the environment; None takes it away."""
    os: Any = sys.modules.get("os")
    if os is None:
        system: Any = sys.modules["posix"]
        if value is None:
            system.unsetenv(name)
            system.environ.pop(name.encode(), None)
        else:
            system.putenv(name, value)
            system.environ[name.encode()] = value.encode()
    elif value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def code(text: str) -> None:
    """A program of the caller's."""
    exec(compile(text, "<set-up>", "exec"), {"__name__": "__setup__"})


STEPS: "dict[str, Callable[..., object]]" = {"env": env, "code": code}


def take(steps: "list[tuple[str, tuple[Any, ...]]]") -> None:
    for name, arguments in steps:
        step = STEPS.get(name)
        if step is None:
            module, _, function = name.partition(":")
            step = getattr(__import__(module, fromlist=[function]), function)
        step(*arguments)
