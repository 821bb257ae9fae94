"""The table that lacks the key is this module's own."""

from handlers import REGISTRY

TABLE = {"xml": REGISTRY}
JSON = TABLE["json"]
