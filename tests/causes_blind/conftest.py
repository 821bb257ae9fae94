"""Nothing from outside may steer the programs: no setting of ours, no path that hides the tree under test."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs start without our variables and without an OpenTelemetry of the machine's."""
    for name in list(os.environ):
        if name.startswith(("IMPORTTRACE", "OTEL_")):
            monkeypatch.delenv(name)
