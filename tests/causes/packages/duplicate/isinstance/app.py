from shop.plugins import Plugin
from table import TablePlugin

PLUGINS = [TablePlugin()]
for plugin in PLUGINS:
    if not isinstance(plugin, Plugin):
        raise TypeError(f"{type(plugin).__name__} is not a Plugin")
