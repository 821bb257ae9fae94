"""Ready points: where a program's start-up is over (docs/ready-points.md).

Each submodule has ``patch(module, mark_ready, load) -> undo``. It is called once, when the load of the
module named in ``POINTS`` has finished. ``load("wrapt")`` imports without leaving a trace of it.
``undo()`` puts the original back, if what stands there is still ours.

Nothing of the standard library is imported here: it would be missing from the program's trace.
"""

from importtrace.config import READY_POINTS as POINTS

__all__ = ["POINTS"]
