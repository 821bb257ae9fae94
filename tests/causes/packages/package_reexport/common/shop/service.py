from shop import (
    VERSION,
)


class Service:
    version = VERSION
