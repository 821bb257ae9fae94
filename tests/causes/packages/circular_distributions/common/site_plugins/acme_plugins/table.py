from acme_core import Plugin


class TablePlugin(Plugin):
    pass
