"""Sub-interpreters: each has import machinery of its own, and a trace of its own if it asks for one."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from capture_support import MODES, run

PROGRAM = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
inner = interpreters.create()
TEXT = '''
import sys
sys.path.insert(0, FOLDER)
import importtrace
if MODE:
    session = importtrace.install(mode=MODE, log="off", spans="off", stall_seconds=0)
import inside
if MODE:
    print([r.module for r in session.trace().records if r.module in ("inside", "outside")])
    session.uninstall()
'''
import os
interpreters.run_string(inner, TEXT.replace("FOLDER", repr(os.getcwd())).replace("MODE", repr(WHAT)))
import outside
print([r.module for r in session.trace().records if r.module in ("inside", "outside")])
session.uninstall()
interpreters.destroy(inner)
"""

if find_spec("_interpreters") is None:
    pytest.importorskip("_xxsubinterpreters", reason="no module to make interpreters with")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("traced", [True, False], ids=["both", "main only"])
def test_each_interpreter_is_on_its_own(traced, mode, tmp_path):
    """What one imports is in its own trace only, also where the other is not traced; nothing crashes."""
    program = PROGRAM.replace("WHAT", repr(mode if traced else None))
    result = run(
        tmp_path, program, mode=mode, files={"inside.py": "", "outside.py": ""}, stall_seconds=0
    ).ok()
    inside = ["['inside']"] if traced else []
    assert result.out.splitlines() == [*inside, "['outside']"]
    assert result.err == ""
