"""Waiting for a call of somebody else's function, and leaving no trace of having done so.

A method is not wrapped until it is looked up for the first time. Until then a `Guard` stands in its
class. So wrapt, which brings asyncio, ssl and many more, is imported when the start-up is as good as
over, and hides no import of the program.

    when_called      the first call. The wrapper is gone when the function runs: no frame of ours is
                     on the stack of a main loop, which never returns.
    when_returned    the end of the first call that raised nothing; of a coroutine, when it is done.

Tracebacks that pass a wrapper lose its frame.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Undo = Callable[[], None]
    Load = Callable[[str], Any]
    Reached = Callable[[Any, tuple[Any, ...]], object]  # (instance, args): is this call the one?
    Make = Callable[[Any, Any, Undo], Any]  # (wrapt's class, original, undo): the wrapper


def when_called(
    owner: "Any",
    name: str,
    mark: "Callable[[], object]",
    load: "Load",
    reached: "Reached | None" = None,
) -> "Undo":
    """Calls `mark` at the first call of `owner.name` for which `reached` is true; returns the undo.

    Raises AttributeError where `owner` has no such function.
    """

    def make(wrapper_class: "Any", original: "Any", undo: "Undo") -> "Any":
        def enabled() -> bool:
            # wrapt asks before each call; False: call the original straight away
            undo()
            mark()
            return False

        def wrapper(wrapped: "Any", instance: "Any", args: "Any", kwargs: "Any") -> "Any":
            if reached is not None and reached(instance, args):
                undo()
                mark()
            try:
                return wrapped(*args, **kwargs)
            except BaseException as error:
                _leave(error)
                raise

        if reached is None:
            return wrapper_class(original, wrapper, enabled=enabled)
        return wrapper_class(original, wrapper)

    return _place(owner, name, make, load)


def when_returned(
    owner: "Any",
    name: str,
    mark: "Callable[[], object]",
    load: "Load",
    reached: "Reached | None" = None,
) -> "Undo":
    """Calls `mark` when `owner.name` has returned and `reached` is true then; returns the undo."""

    def make(wrapper_class: "Any", original: "Any", undo: "Undo") -> "Any":
        def returned(instance: "Any", args: "Any") -> None:
            if reached is None or reached(instance, args):
                undo()
                mark()

        async def finish(coroutine: "Any", instance: "Any", args: "Any") -> "Any":
            try:
                result = await coroutine
            except BaseException as error:
                _leave(error)
                raise
            returned(instance, args)
            return result

        def wrapper(wrapped: "Any", instance: "Any", args: "Any", kwargs: "Any") -> "Any":
            try:
                result = wrapped(*args, **kwargs)
            except BaseException as error:
                _leave(error)
                raise
            if type(result) is _coroutine:
                return finish(result, instance, args)
            returned(instance, args)
            return result

        return wrapper_class(original, wrapper)

    return _place(owner, name, make, load)


class Guard:
    """Stands in a class for a function of it, until it is looked up; then wrapt's wrapper does."""

    __slots__ = ("_inherited", "_load", "_make", "_name", "_original", "_owner", "_wrapper")

    def __init__(self, owner: "Any", name: str, make: "Make", load: "Load") -> None:
        self._inherited = name not in vars(owner)
        for place in owner.__mro__ if isinstance(owner, type) else (owner,):
            if name in vars(place):
                self._original = vars(place)[name]
                break
        else:
            raise AttributeError(f"{owner.__name__} has no {name}")
        self._owner = owner
        self._name = name
        self._make = make
        self._load = load
        self._wrapper: Any = None

    def __get__(self, instance: "Any", owner: "Any" = None) -> "Any":
        return self.settle().__get__(instance, owner)

    def settle(self) -> "Any":
        """Makes room for the wrapper, or, if wrapt cannot be had, the original; returns which."""
        if self._wrapper is None:
            try:
                wrapt = _wrapt(self._load)
                our_class = _wrapper_class(wrapt, self._owner, self._name)
                self._wrapper = self._make(our_class, self._original, self.undo)
            except Exception:  # noted by `load`; the program gets its function
                self.undo()
                return self._original
        if vars(self._owner).get(self._name) is self:
            setattr(self._owner, self._name, self._wrapper)
        return self._wrapper

    def undo(self) -> None:
        """Puts the original back. What somebody has put around ours since stays, and ours with it."""
        there = vars(self._owner).get(self._name)
        if there is None or (there is not self and there is not self._wrapper):
            return
        if self._inherited:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._original)


def _place(owner: "Any", name: str, make: "Make", load: "Load") -> "Undo":
    guard = Guard(owner, name, make, load)
    if isinstance(owner, type):
        setattr(owner, name, guard)
    else:  # looking a module's attribute up runs nothing of ours: the wrapper at once
        _wrapt(load)  # raises here what stands in the way
        setattr(owner, name, guard)
        guard.settle()
    return guard.undo


def _wrapt(load: "Load") -> "Any":
    try:
        return load("wrapt")
    except ModuleNotFoundError:
        load("importtrace.integrations._own_wrapt")
        return sys.modules["importtrace.integrations._own_wrapt"].wrapt


def _wrapper_class(wrapt: "Any", owner: "Any", name: str) -> "Any":
    """wrapt's wrapper, which can be copied and pickled like the function that it stands for.

    A process pool pickles the function that it is to run; wrapt refuses.
    """

    def copied(self: "Any", *memo: object) -> "Any":
        return self

    def reduced(self: "Any", protocol: int) -> "Any":
        wrapped = self.__wrapped__
        if getattr(wrapped, "__self__", None) is not None:
            return wrapped.__reduce_ex__(protocol)  # a bound method: the object and the name
        return (getattr, (owner, name)) if isinstance(owner, type) else name

    same = {"__copy__": copied, "__deepcopy__": copied, "__reduce_ex__": reduced}
    bound = type("BoundReadyPoint", (wrapt.BoundFunctionWrapper,), dict(same))
    return type(
        "ReadyPoint", (wrapt.FunctionWrapper,), {**same, "__bound_function_wrapper__": bound}
    )


def _leave(error: BaseException) -> None:
    """The traceback without our frame, as without us."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


async def _nothing() -> None: ...


_probe = _nothing()
_coroutine = type(_probe)
_probe.close()
