"""What redaction takes out, and that it takes nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from exporters_support import cause, failed, load, request, trace

from importtrace import tracefile
from importtrace.exporters.redact import REDACTED, redact

HOME = "/srv/people/ada"


def _redact(part: str, *records, **header):
    return redact(trace(*records, **header), frozenset({part}), HOME)


def test_nothing_asked_for_leaves_the_same_trace():
    """Without parts the trace is passed on as it is."""
    given = trace(failed(1, "a"))
    assert redact(given, frozenset(), HOME) is given


def test_statements_are_absent_everywhere():
    """Source text goes from importers, chains and cycles; file and line stay."""
    link = {"module": "a", "file": "/a.py", "line": 7, "statement": "import secret_plan"}
    record = failed(1, "a", cause=cause(chain=[link], cycle=[link]))
    done = _redact("statements", record)
    assert "statement" not in tracefile.dumps(done)
    assert done.records[0].cause["chain"] == [{"module": "a", "file": "/a.py", "line": 7}]
    assert done.records[0].importer.line == 3


def test_messages_are_replaced_also_where_a_summary_quotes_them():
    """An exception's text may hold data: it is hidden in the error, the cause, root and summary."""
    secret = "bad password 'hunter2'\nfor user ada"
    record = failed(
        1,
        "a",
        error={"type": "ValueError", "message": secret},
        cause=cause(
            message=secret,
            summary="a raised ValueError: bad password 'hunter2'",
            hint="see: for user ada",
            root={"module": "a", "type": "ValueError", "message": secret},
        ),
    )
    done = _redact("messages", record)
    text = tracefile.dumps(done)
    assert "hunter2" not in text
    assert "user ada" not in text
    assert done.records[0].error == {"type": "ValueError", "message": REDACTED}
    assert done.records[0].cause["summary"] == f"a raised ValueError: {REDACTED}"
    assert done.records[0].cause["root"]["type"] == "ValueError"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/ada/app/a.py", "~/app/a.py"),
        ("/Users/ada/app/a.py", "~/app/a.py"),
        (r"C:\Users\ada\app\a.py", r"~\app\a.py"),
        ("/srv/people/ada/a.py", "~/a.py"),
        ("/srv/people/adam/a.py", "/srv/people/adam/a.py"),
        ("/usr/lib/python3/a.py", "/usr/lib/python3/a.py"),
    ],
)
def test_home_folders_become_a_tilde(path, expected):
    """This user's home and other people's are hidden in origins; other folders are not."""
    assert _redact("home", load(1, "a", origin=path)).records[0].origin == expected


def test_home_is_hidden_in_every_place_that_holds_a_path():
    """Header, importer, error, holder and cause all hold paths."""
    held = {"thread": {"id": 1}, "module": "a", "file": "/home/ada/a.py", "line": 3}
    done = _redact("home", failed(1, "a"), request(2, "a", 1, outcome="partial", held_by=held))
    text = tracefile.dumps(done)
    assert "/home/ada" not in text
    assert done.header["argv0"] == "~/app.py"
    assert "from 'a' (~/a.py)" in done.records[0].error["message"]
    assert done.records[1].held_by["file"] == "~/a.py"


def test_what_is_not_asked_for_stays():
    """Ids, times, modules, outcomes and fingerprints are equal after all three."""
    given = trace(load(1, "a"), failed(2, "b", parent=1), request(3, "a", 1, outcome="waited"))
    done = redact(given, frozenset({"statements", "messages", "home"}), HOME)
    blank = {"importer": None, "origin": None, "error": None, "cause": None}
    assert [replace(record, **blank) for record in done.records] == [
        replace(record, **blank) for record in given.records
    ]
    assert done.records[1].cause["fingerprint"] == "f00d"
    assert done.records[1].cause["kind"] == "circular"


@pytest.mark.parametrize("part", ["statements", "messages", "home"])
def test_causes_in_the_header_are_redacted_as_those_of_records(part):
    """Of a failed statement outside of every load no record holds the cause."""
    loose = cause(chain=[{"file": "/home/ada/app.py", "line": 1, "statement": "from a import x"}])
    text = tracefile.dumps(_redact(part, failures=[loose]))
    hidden = {"statements": "from a import x", "messages": "cannot import", "home": "/home/ada"}
    assert hidden[part] in tracefile.dumps(trace(failures=[loose]))
    assert hidden[part] not in text
    assert loose["fingerprint"] in text
