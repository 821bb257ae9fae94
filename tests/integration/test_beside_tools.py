"""Beside other tools that hook imports, patch threads or watch code run: nothing changes, nothing is lost.

Each tool alone is the reference; then importtrace is there before it, after it, and inside its command. The
tools live in an environment of their own (tools/beside_tools.py), made once under .nox.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

import beside_tools  # noqa: E402
from beside_tools import Ran, Tool  # noqa: E402
from real_packages_projects import NotMade  # noqa: E402

pytestmark = pytest.mark.integration

LISTED = [
    tool for tool in beside_tools.tools() if tool.since <= sys.version_info[: len(tool.since)]
]
CASES = [
    pytest.param(tool, order, id=f"{tool.name}-{tool.way}-{order}".replace(" ", "_"))
    for tool in LISTED
    for order in tool.orders
]
_alone: dict[str, Ran] = {}


@pytest.fixture(scope="module")
def python() -> Path:
    """The Python of the environment with the tools."""
    try:
        return beside_tools.environment(sys.executable)
    except NotMade as error:
        pytest.skip(f"pip cannot install the tools: {error}")


def alone(python: Path, tool: Tool) -> Ran:
    """What the program does beside the tool, without importtrace; run once a tool."""
    key = tool.name + tool.way
    if key not in _alone:
        _alone[key] = beside_tools.reference(python, tool)
    return _alone[key]


@pytest.mark.parametrize(("tool", "order"), CASES)
def test_nothing_changes_and_every_load_is_in_the_trace(
    tool: Tool, order: str, python: Path
) -> None:
    """Output and exit code as with the tool alone; loads with outcome, parent, and statement."""
    changed, lacks = beside_tools.check(python, tool, order, "auto", alone(python, tool))
    assert not changed, "\n".join(changed)
    if order in tool.not_started:
        assert lacks == ["no trace was written"], tool.not_started[order]
    else:
        assert not lacks, "\n".join(lacks)


@pytest.mark.parametrize(
    "tool", LISTED, ids=lambda tool: f"{tool.name}-{tool.way}".replace(" ", "_")
)
def test_public_means_change_nothing_either(tool: Tool, python: Path) -> None:
    """Mode `finder`, placed after the tool's own finder: in front of it, so it sees all that is found."""
    changed, lacks = beside_tools.check(python, tool, "install()", "finder", alone(python, tool))
    assert not changed, "\n".join(changed)
    assert not lacks, "\n".join(lacks)
