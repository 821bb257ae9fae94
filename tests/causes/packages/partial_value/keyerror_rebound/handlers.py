REGISTRY = {}

import formats  # noqa: E402

REGISTRY["json"] = formats
