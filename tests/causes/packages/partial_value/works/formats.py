from handlers import REGISTRY

REGISTRY["xml"] = None
