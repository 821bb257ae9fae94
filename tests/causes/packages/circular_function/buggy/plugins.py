from config import SETTINGS

REGISTRY = {"debug": SETTINGS.get("debug")}
