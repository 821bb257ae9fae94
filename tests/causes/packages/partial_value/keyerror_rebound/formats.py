"""The name came half-built from handlers, but by the failing line it is something else."""

from handlers import REGISTRY

REGISTRY = {"xml": REGISTRY}
JSON = REGISTRY["json"]
