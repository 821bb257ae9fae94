"""The program's stack as the explanation shows it: whose frame is whose. Stdlib-free."""

from importtrace import _compat
from importtrace.analysis.facts import Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_IMPORTLIB = ("importlib", "importlib.util", "zipimport", "runpy")
MOST_FRAMES = 400


def traceback(error: BaseException) -> "tuple[FrameType | None, list[tuple[FrameType, int]]]":
    entries: list[tuple[FrameType, int]] = []
    tb = error.__traceback__
    while tb is not None:
        entries.append((tb.tb_frame, tb.tb_lineno))
        tb = tb.tb_next
    if len(entries) > MOST_FRAMES:
        entries = entries[: MOST_FRAMES // 2] + entries[-MOST_FRAMES // 2 :]
    return (entries[-1][0] if entries else None), entries


def imports(frame: "FrameType") -> bool:
    return frame.f_globals is _compat.BOOTSTRAP_GLOBALS


def internal(frame: "FrameType") -> bool:
    namespace = frame.f_globals
    return (
        namespace is _compat.BOOTSTRAP_GLOBALS
        or namespace is _compat.EXTERNAL_GLOBALS
        or namespace.get("__name__") in _IMPORTLIB
    )


def ours(frame: "FrameType") -> bool:
    name = frame.f_globals.get("__name__")
    return type(name) is str and name.startswith("importtrace.")


def is_body(frame: "FrameType") -> bool:
    return frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__"


def body_places(frame: "FrameType | None") -> "dict[str, Frame]":
    """Where each module body on another thread's stack stands."""
    places: dict[str, Frame] = {}
    while frame is not None:
        if is_body(frame):
            name = frame.f_globals.get("__name__")
            if type(name) is str:
                file, line = frame.f_code.co_filename, frame.f_lineno
                places.setdefault(name, Frame(file, line, name, True, {}))
        frame = frame.f_back
    return places
