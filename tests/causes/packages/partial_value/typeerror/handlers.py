Base = None

import formats  # noqa: E402


class Base:  # noqa: F811
    format = formats
