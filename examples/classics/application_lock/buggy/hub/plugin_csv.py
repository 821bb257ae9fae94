from hub import registry


class Csv:
    pass


registry.register("csv", Csv)
