"""What a collector answered, where the SDK's exporters only say that they failed.

Over HTTP from the response itself; over gRPC, whose exporter shows none, from what it logs.
"""

from __future__ import annotations

import logging
import re
import socket
import time
from email.utils import parsedate_to_datetime
from typing import Any

_CODE = re.compile(r"StatusCode\.([A-Z_]+)")
_LATER = {408, 425, 429}
_DENIED = {401, 403, 404, 405, 407}
# What a collector says of one request, in gRPC's words.
_GRPC_REFUSED = {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "INTERNAL", "OUT_OF_RANGE"}
_GRPC_DENIED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND"}


class Answers(logging.Handler):
    """The answer to one export: ``reset`` before it, then one of the verdicts.

    ``later``     nobody there, or too busy: the same again, in ``retry_after_s`` if it said so
    ``refused``   something in this request is not to its taste
    ``too_large`` less at once
    ``denied``    it would refuse any request: address or credentials are wrong
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.rejected = 0  # spans that were taken out of requests it accepted, ever
        self.rejected_because = ""
        self.reset()

    def reset(self) -> None:
        self._status: int | None = None
        self._phrase = ""
        self._setting: str | None = None
        self._export: str | None = None
        self._code: str | None = None
        self.retry_after_s: float | None = None

    # what is listened to -------------------------------------------------------------------

    def emit(self, record: logging.LogRecord) -> None:
        """Of what the SDK says about exporting, the first: later ones only say that it gave up.
        Complaints about a setting serve where there is nothing else."""
        message = record.getMessage()
        code = _CODE.search(message)
        if code:
            self._code = code[1]
        if "export" in message or "span" in message:
            self._export = self._export or message
        else:
            self._setting = self._setting or message

    def note(self, reason: str) -> None:
        """Known otherwise."""
        self._export = self._export or reason

    def hear(self, response: Any, *_: Any, **__: Any) -> None:
        """A response hook of ``requests``."""
        try:
            self._status = int(response.status_code)
            self._phrase = str(response.reason or "")
            self.retry_after_s = _retry_after(response.headers.get("Retry-After"))
            if self._status == 200 and response.content:
                self._partial_success(response.content)
        except Exception:  # an answer that cannot be read says nothing
            pass

    def _partial_success(self, content: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceResponse,
        )

        answer = ExportTraceServiceResponse.FromString(content).partial_success
        if answer.rejected_spans:
            self.rejected += answer.rejected_spans
            self.rejected_because = answer.error_message

    # what is concluded ---------------------------------------------------------------------

    @property
    def reason(self) -> str | None:
        """For people."""
        if self._status is not None and self._status >= 400:
            return f"it answers {self._status} {self._phrase}".rstrip()
        return self._export or self._setting

    @property
    def verdict(self) -> str:
        """Of an export that failed."""
        if self._status is not None:
            return _of_status(self._status)
        if self._code is not None:
            return self._of_code(self._code)
        text = self._export or ""
        if "exceeds max_request_size" in text:
            return "too_large"
        return "refused" if "encode" in text else "later"

    def _of_code(self, code: str) -> str:
        if code == "RESOURCE_EXHAUSTED" and "larger than max" in (self._export or ""):
            return "too_large"
        if code in _GRPC_REFUSED:
            return "refused"
        return "denied" if code in _GRPC_DENIED else "later"


def absent(address: tuple[str, int], timeout_s: float) -> str | None:
    """Why nobody takes a connection there; None if somebody does, or the exporter will know better."""
    try:
        socket.create_connection(address, timeout=timeout_s).close()
    except (ConnectionRefusedError, socket.gaierror) as error:
        return str(error.strerror or error)
    except OSError:
        pass
    return None


def _of_status(status: int) -> str:
    if status == 413:
        return "too_large"
    if status in _DENIED:
        return "denied"
    return "refused" if 400 <= status < 500 and status not in _LATER else "later"


def _retry_after(value: str | None) -> float | None:
    """Seconds; a number of them or a date."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
