"""Runs one program and writes down what it left in `sys.modules`. Started by tools/real_packages.py.

    python real_packages_probe.py FACTS PROGRAM_TEXT

Nothing is imported between the program's end and the copy of `sys.modules`.
"""

import sys

_BEFORE = set(sys.modules)
_FACTS, _TEXT = sys.argv[1:3]
del sys.argv[1:]


def _facts(before):
    """[name, facts] of each module, in the order of sys.modules; nothing lazy is forced."""
    read = object.__getattribute__
    found = []
    for name, module in list(sys.modules.items()):
        facts = {"type": _type(type(module)), "new": name not in before}
        found.append([name, facts])
        try:
            namespace = read(module, "__dict__")
        except AttributeError:
            continue
        if type(namespace) is not dict:
            continue
        for key in ("__file__", "__cached__", "__package__", "__name__"):
            facts[key] = _text(namespace.get(key, "absent"))
        path = namespace.get("__path__", "absent")
        facts["__path__"] = [_type(type(path)), _items(path)]
        facts["names"] = sorted(str(key) for key in namespace)
        loader = namespace.get("__loader__")
        facts["__loader__"] = _loader(loader)
        spec = namespace.get("__spec__")
        if spec is None:
            facts["__spec__"] = None
            continue
        facts["spec_name"] = getattr(spec, "name", None)
        loaded_by = getattr(spec, "loader", None)
        described = {
            "repr": _text(spec),
            "type": _type(type(spec)),
            "attributes": sorted(vars(spec)) if hasattr(spec, "__dict__") else None,
            "loader": _loader(loaded_by),
            "loader is __loader__": loaded_by is loader,
            # what import.c asks of it; mode `finder` answers False where there is no such attribute
            "_initializing": bool(getattr(spec, "_initializing", False)),
            "submodule_search_locations": _items(getattr(spec, "submodule_search_locations", None)),
        }
        for key in (
            "name",
            "origin",
            "cached",
            "has_location",
            "parent",
            "loader_state",
        ):
            described[key] = _text(getattr(spec, key, "absent"))
        facts.update((f"__spec__.{key}", value) for key, value in described.items())
    return found


def _type(kind):
    return f"{kind.__module__}.{kind.__qualname__}"


def _loader(loader):
    made = isinstance(loader, type)
    return [_type(loader if made else type(loader)), _text(loader),
            sorted(vars(loader)) if not made and hasattr(loader, "__dict__") else None]  # fmt: skip


def _items(values):
    try:
        return [_text(value) for value in values]
    except Exception as error:
        return type(error).__name__


def _text(value):
    """The value's repr without addresses; long ones by their beginning."""
    try:
        text = repr(value)[:2000]
    except Exception as error:
        return type(error).__name__
    head, *rest = text.split("0x")
    return head + "".join("0x-" + part.lstrip("0123456789abcdef") for part in rest)


def _write(found, meta_path):
    import json

    with open(_FACTS, "w", encoding="utf-8") as out:
        json.dump({"modules": found, "meta_path": meta_path}, out)


_code = compile(_TEXT, "program.py", "exec")
exec(_code, {"__name__": "__main__", "__builtins__": __builtins__})
_write(_facts(_BEFORE), [_type(f if isinstance(f, type) else type(f)) for f in sys.meta_path])
