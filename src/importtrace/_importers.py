"""Who asked for a module: the frame behind importlib's own, and how it asked. Hot, stdlib-free."""

from importtrace import _compat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_BOOTSTRAP = _compat.BOOTSTRAP_GLOBALS
_EXTERNAL = _compat.EXTERNAL_GLOBALS
_IMPORTLIB = ("importlib", "importlib.util")

ASKED, IMPLIED, FROM_LIST = 0, 1, 2


def find_importer(frame: "FrameType | None") -> "tuple[FrameType | None, int]":
    """The frame that asked for the module, and how: IMPLIED is importlib's own wish for a parent
    package, FROM_LIST its try whether a name of a `from` list is a submodule."""
    how = ASKED
    called = decided = False
    while frame is not None:
        namespace = frame.f_globals
        if namespace is _BOOTSTRAP:
            code = frame.f_code
            if called and not decided:
                # the frame below decides; importlib.machinery's create_module also calls that way
                decided = True
                if code is _compat.FIND_AND_LOAD_UNLOCKED or code is _compat.RESOLVE_PARENTS:
                    how = IMPLIED
                elif code is _compat.HANDLE_FROMLIST:
                    how = FROM_LIST
            called = code.co_name == "_call_with_frames_removed"
        elif namespace is _EXTERNAL or namespace.get("__name__") in _IMPORTLIB:
            decided = decided or called
        else:
            break
        frame = frame.f_back
    return frame, how
