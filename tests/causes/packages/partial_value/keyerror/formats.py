from handlers import REGISTRY

JSON = REGISTRY["json"]
