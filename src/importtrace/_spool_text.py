"""JSON without `json`, which would be hidden from the trace if we loaded it. Stdlib-free.

Readers take it with `json.loads(text, strict=False)`: control characters stand for themselves.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOTHING: frozenset[str] = frozenset()


def to_json(value: "Any", redact: frozenset[str] = NOTHING) -> str:
    """A value of plain types as JSON; what `redact` names (IMPORTTRACE_REDACT) is left out."""
    hidden: list[str] = []
    if "messages" in redact:
        hidden = sorted(_messages(value), key=len, reverse=True)
    return _json(value, redact, hidden)


def _json(value: "Any", redact: frozenset[str], hidden: "list[str]") -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        text = float.__repr__(value)
        return text if text[-1].isdigit() else "null"  # JSON has no inf and no nan
    if isinstance(value, dict):
        pairs = []
        for key, item in value.items():
            if (key == "statement" and "statements" in redact) or (
                key == "message" and "messages" in redact
            ):
                continue
            pairs.append(f"{_quote(str(key))}:{_json(item, redact, hidden)}")
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ",".join([_json(item, redact, hidden) for item in value]) + "]"
    text = str(value)
    for secret in hidden:
        text = text.replace(secret, "<redacted>")
    return _quote(without_home(text) if "home" in redact else text)


def _quote(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'.replace("\0", "\\u0000")


def _messages(value: "Any") -> set[str]:
    """Every message in it, and each of their lines: a summary may quote only a part."""
    found: set[str] = set()
    if isinstance(value, dict):
        message = value.get("message")
        if isinstance(message, str):
            found.add(message)
            found.update(line.strip() for line in message.splitlines())
        for item in value.values():
            found |= _messages(item)
    elif isinstance(value, list | tuple):
        for item in value:
            found |= _messages(item)
    return found - {""}


def without_home(text: str) -> str:
    """Home folders (this user's, and any `/home/NAME`, `/Users/NAME`) become `~`."""
    system: Any = sys.modules.get("posix")
    home = system.environ.get(b"HOME", b"").decode(errors="surrogateescape").rstrip("/")
    if home:
        text = _replaced(text, home)
    for above in ("/home/", "/Users/"):
        at = text.find(above)
        while at >= 0:
            end = at + len(above)
            while end < len(text) and text[end] not in "/\\:'\" \t\n\r":
                end += 1
            if end > at + len(above):
                text = text[:at] + "~" + text[end:]
            at = text.find(above, at + 1)
    return text


def _replaced(text: str, home: str) -> str:
    """`home` where it is a folder's whole name: not in `/root2`."""
    at = text.find(home)
    while at >= 0:
        end = at + len(home)
        following = text[end : end + 1]
        if not (following.isalnum() or (following and following in "_.-")):
            text = text[:at] + "~" + text[end:]
        at = text.find(home, at + 1)
    return text
