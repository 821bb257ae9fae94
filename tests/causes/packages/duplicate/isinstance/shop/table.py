from plugins import Plugin


class TablePlugin(Plugin):
    pass
