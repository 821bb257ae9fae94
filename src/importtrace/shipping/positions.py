"""Which spans of a trace a collector has accepted: one small file a trace, replaced as a whole.

A file is written after the collector's acceptance and before the next request, so what is sent twice
after a crash is one request at most. It is found by the trace's identity: a trace file may be renamed.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import time
from typing import TYPE_CHECKING, Any

from importtrace.errors import ShippingError
from importtrace.exporters.ids import identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDER = ".importtrace-ship"
KEPT_S = 14 * 86_400  # a position is forgotten when its trace was not seen for so long
_SUFFIX = ".json"


class Position:
    """Of one trace. ``complete``: all of it was accepted, and nothing will be added to it."""

    def __init__(self, path: str, data: Mapping[str, Any]) -> None:
        self._path = path
        self.complete = data.get("complete") is True
        self.sent = int(data.get("sent", 0))
        self.refused = int(data.get("refused", 0))
        self.accepted = set(_unpack(data.get("accepted", "")))

    def accept(self, span_ids: Iterable[int], refused: int = 0) -> None:
        """Note it, durably. Raises ShippingError where it cannot be written."""
        new = set(span_ids) - self.accepted
        self.accepted |= new
        self.sent += len(new) - refused
        self.refused += refused
        self._write()

    def finish(self) -> None:
        """All is sent: what exactly need not be known any more."""
        self.complete = True
        self.accepted.clear()
        self._write()

    def _write(self) -> None:
        data = {"schema": 1, "complete": self.complete, "sent": self.sent, "refused": self.refused}
        text = json.dumps(data | {"accepted": _pack(self.accepted)})
        temporary = self._path + ".part"
        try:
            with open(temporary, "w", encoding="ascii") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            os.replace(temporary, self._path)
        except OSError as error:
            raise ShippingError(
                f"cannot note in {os.path.dirname(self._path)!r} what was sent ({error.strerror}); "
                "nothing more is sent, or it would be sent twice; use --state with a writable folder"
            ) from error


class Positions:
    """The folder of positions, locked: two who ship the same traces would send all of it twice."""

    def __init__(self, folder: str) -> None:
        """Raises ShippingError if it cannot be written, or another process ships with it."""
        self._folder = folder
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            self._lock = open(os.path.join(folder, "lock"), "a")  # noqa: SIM115  as long as we live
        except OSError as error:
            raise ShippingError(
                f"cannot write to {folder!r} ({error.strerror}), where what was sent is noted; "
                "use --state with a writable folder"
            ) from error
        if not _locked(self._lock):
            self._lock.close()
            raise ShippingError(
                f"another importtrace ship works with {folder!r}; end it, or use --state with another "
                "folder"
            )
        self._forget_old()

    def of(self, header: Mapping[str, Any]) -> Position:
        """That of the trace with this header; an empty one if none was noted, or it is damaged."""
        path = os.path.join(self._folder, identity(header)[:16].hex() + _SUFFIX)
        try:
            with open(path, encoding="ascii") as file:
                return Position(path, json.load(file))
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return Position(path, {})

    def close(self) -> None:
        self._lock.close()

    def _forget_old(self) -> None:
        before = time.time() - KEPT_S
        for name in os.listdir(self._folder):
            path = os.path.join(self._folder, name)
            try:
                if name.endswith((_SUFFIX, ".part")) and os.stat(path).st_mtime < before:
                    os.unlink(path)
            except OSError:
                continue


def _locked(file: Any) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        import errno

        return error.errno not in (
            errno.EWOULDBLOCK,
            errno.EACCES,
        )  # some file systems have no locks
    return True


def _pack(ids: set[int]) -> str:
    return base64.b64encode(struct.pack(f">{len(ids)}Q", *sorted(ids))).decode("ascii")


def _unpack(text: str) -> tuple[int, ...]:
    data = base64.b64decode(text)
    return struct.unpack(f">{len(data) // 8}Q", data[: len(data) // 8 * 8])
