"""What the tests of the race engine share."""

import pytest
from race_support import write

from importtrace.race.runner import Runner


@pytest.fixture
def package(tmp_path):
    """A function: files -> the folder to put on the path."""
    return lambda files: write(tmp_path / "code", files)


@pytest.fixture(scope="module")
def runner():
    with Runner(workers=2) as made:
        yield made
