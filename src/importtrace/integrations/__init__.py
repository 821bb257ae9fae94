"""Ready points: where a server's start-up is over (docs/ready-points.md).

Each submodule has ``patch(module, mark_ready) -> undo``. It is called once, when the load of the
module named in ``POINTS`` has finished, and imports wrapt; ImportError means that wrapt is missing.
``undo()`` puts the original back, if what stands there is still ours.
"""

from importtrace.config import READY_POINTS as POINTS

__all__ = ["POINTS"]
