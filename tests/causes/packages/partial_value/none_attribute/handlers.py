db = None

import formats  # noqa: E402


class Database:
    Model = formats


db = Database()
