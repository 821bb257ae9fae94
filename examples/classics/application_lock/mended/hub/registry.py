import importlib
import threading

_lock = threading.RLock()
_known: dict[str, type] = {}


def register(name: str, plugin: type) -> None:
    with _lock:
        _known[name] = plugin


def get(name: str) -> type:
    importlib.import_module(f"hub.plugin_{name}")  # before the lock, never under it
    with _lock:
        return _known[name]
