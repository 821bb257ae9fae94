from acme_plugins.table import TablePlugin

PLUGINS = [TablePlugin]
