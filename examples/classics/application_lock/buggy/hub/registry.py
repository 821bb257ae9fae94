import importlib
import threading

_lock = threading.RLock()
_known: dict[str, type] = {}


def register(name: str, plugin: type) -> None:
    with _lock:
        _known[name] = plugin


def get(name: str) -> type:
    with _lock:
        if name not in _known:
            importlib.import_module(f"hub.plugin_{name}")
        return _known[name]
