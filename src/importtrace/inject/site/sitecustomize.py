# mypy: ignore-errors
"""What ``site`` imports when this directory is on PYTHONPATH: starts importtrace, then steps aside.

Afterwards ``sys.path`` and ``sys.modules`` are as if this directory had not been there, and the
``sitecustomize`` of the environment has run, or is as absent as before. Valid on any Python.
"""

import os
import sys

# Another tool's sitecustomize may execute the next one on the path by itself: inside its own module (New
# Relic's does, by load_module) or in a new one. Then `sitecustomize` in sys.modules is that tool's.
_THEIRS = getattr(sys.modules.get("sitecustomize"), "__dict__", None) is not globals() or any(
    not name.startswith("_") for name in globals() if name not in ("os", "sys")
)


def _step_aside():
    here = os.path.dirname(os.path.abspath(__file__))
    # `starter` and `this` hold the modules: one that nobody holds loses its globals in Python 2.
    try:
        import importtrace_start as starter
    except Exception:  # half a copy of this directory: the program comes first
        starter = None
    sys.modules.pop("importtrace_start", None)
    for index in reversed(range(len(sys.path))):
        if os.path.normcase(os.path.abspath(sys.path[index])) == os.path.normcase(here):
            sys.path_importer_cache.pop(sys.path[index], None)
            del sys.path[index]
    present, spec = _find()
    if starter is not None:
        starter.start()
    else:
        sys.stderr.write("importtrace: not started: %s is incomplete; install it again\n" % here)
    if _THEIRS:
        if spec is not None:
            names = globals()
            names.update(__file__=spec.origin, __spec__=spec, __loader__=spec.loader)
            exec(spec.loader.get_code("sitecustomize"), names)
        return None
    this = sys.modules.pop("sitecustomize", None)
    if not present:
        # What `site` expects where there is none. Raised here, so that a search that would have
        # failed without us as well is not the trace's first failure.
        raise ImportError("No module named 'sitecustomize'", name="sitecustomize")
    # The import system takes what it finds in sys.modules after a module's body for the module: the
    # environment's own.
    __import__("sitecustomize")
    return this


def _find():
    """(False if the environment certainly has no sitecustomize of its own, its spec if known)."""
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec("sitecustomize", None)
            if spec is not None:
                return True, spec
        except Exception:  # an old finder, or a broken one: let the import say it
            return True, None
    return sys.version_info < (3,), None  # Python 2 keeps its own finders elsewhere


_step_aside()
