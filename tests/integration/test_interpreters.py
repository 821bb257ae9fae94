"""tools/interpreters.py for real: Debian's interpreters unpacked, and a sample of the tests on each."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HERE / "tools"))

import interpreters  # noqa: E402

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def _made() -> None:
    """The sandbox's folder; skips in one line where this machine cannot make it."""
    try:
        interpreters.check()
        interpreters.make_root(interpreters.FOLDER)
    except interpreters.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_the_seams_are_what_the_page_says(version: str) -> None:
    """The wheel, installed on that interpreter, records what docs/observed.md has of it."""
    done = subprocess.run(
        [
            *(sys.executable, str(HERE / "tools" / "interpreters.py"), "--only", version),
            *("tests/interop/test_observed.py", "-rs"),
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_a_missing_program_is_one_line(tmp_path: Path) -> None:
    """Without mmdebstrap the tool says so, and does not count as a failure."""
    done = subprocess.run(
        [sys.executable, str(HERE / "tools" / "interpreters.py")],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.count("\n") == 1
    assert "mmdebstrap and bwrap missing" in done.stderr
