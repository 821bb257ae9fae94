"""Ready points: where a server's start-up is over (docs/ready-points.md).

Each submodule has ``patch(module, mark_ready) -> undo``. It is called once, when the load of the
module named in ``POINTS`` has finished, and imports wrapt; ImportError means that wrapt is missing.
``undo()`` puts the original back, if what stands there is still ours.
"""

# module whose load is followed -> our submodule
POINTS: dict[str, str] = {
    "gunicorn.workers.base": "gunicorn",
    "uvicorn.server": "uvicorn",
}
