"""In the child: what is done to it before the target is imported (`scenario.SetUp`), and how an entry is.

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


def import_entry(module: str, name: "str | None") -> None:
    """Runs the statement of an entry as a program's own would run; raises what it raises."""
    text = f"import {module}" if name is None else f"from {module} import {name}"
    try:
        statement = compile(text, f"<{text}>", "exec")
    except SyntaxError:  # a name that is no identifier: only __import__ can say it
        text = f"__import__({module!r}, fromlist={[] if name is None else [name]!r})"
        statement = compile(text, f"<{text}>", "exec")
    exec(statement, {"__name__": "__entry__"})


STEPS: "dict[str, Callable[..., object]]" = {"env": env, "code": code}


def take(steps: "list[tuple[str, tuple[Any, ...]]]") -> None:
    for name, arguments in steps:
        step = STEPS.get(name)
        if step is None:
            module, _, function = name.partition(":")
            step = getattr(__import__(module, fromlist=[function]), function)
        step(*arguments)
