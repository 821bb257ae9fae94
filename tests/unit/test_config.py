"""Settings: what wins, what is refused, and that a bad variable never stops a program."""

from __future__ import annotations

import inspect
import pathlib
import subprocess
import sys

import pytest

from importtrace import config
from importtrace.errors import ConfigError

NAMES = sorted(config._SETTINGS)


def test_defaults() -> None:
    """With neither arguments nor variables nothing is written to a file, and the bounds stand."""
    settings = config.resolve({}, {})
    assert settings.file is None
    assert (settings.mode, settings.log, settings.spans) == ("auto", "info", "auto")
    assert settings.redact == frozenset()
    assert min(settings.max_records, settings.max_spans, settings.export_timeout_s) > 0


def test_every_setting_has_a_slot_and_a_variable() -> None:
    """The table of settings, the Config class and its docstring name the same things."""
    assert sorted(config.Config.__slots__) == NAMES
    lines = inspect.cleandoc(config.Config.__doc__ or "").splitlines()
    assert sorted(line.split(" ")[0] for line in lines if "  " in line) == NAMES


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("file", "/tmp/{pid}.jsonl", "/tmp/{pid}.jsonl"),
        ("mode", "finder", "finder"),
        ("log", "debug", "debug"),
        ("spans", "off", "off"),
        ("max_records", "5000", 5000),
        ("max_spans", "1", 1),
        ("long_wait_ms", "0", 0),
        ("export_timeout_s", "3", 3),
        ("redact", "home, statements", frozenset({"home", "statements"})),
        ("redact", "all", frozenset({"home", "messages", "statements"})),
    ],
)
def test_variable_is_read_and_an_argument_wins(name: str, text: str, value: object) -> None:
    """IMPORTTRACE_<NAME> is parsed; the same setting given as an argument stands before it."""
    environ = {"IMPORTTRACE_" + name.upper(): text}
    assert getattr(config.resolve({}, environ), name) == value
    other = {"file": "x", "mode": "probes", "log": "info", "spans": "on", "redact": "messages"}
    argument = other.get(name, 777)
    kept = getattr(config.resolve({name: argument}, environ), name)
    assert kept != value
    assert kept == (frozenset({"messages"}) if name == "redact" else argument)


def test_empty_variable_and_none_argument_mean_not_given() -> None:
    """FOO= in a manifest is how people switch a setting off; None is install()'s own default."""
    environ = {"IMPORTTRACE_MAX_RECORDS": "", "IMPORTTRACE_FILE": "", "IMPORTTRACE_LOG": "off"}
    settings = config.resolve({"max_records": None, "log": None}, environ)
    default = config.resolve({}, {})
    assert settings.max_records == default.max_records
    assert settings.file is None
    assert settings.log == "off"


def test_path_objects_are_paths() -> None:
    """os.PathLike is taken for file."""
    assert config.resolve({"file": pathlib.PurePosixPath("a/b")}, {}).file == "a/b"


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("mode", "everything"),
        ("log", "loud"),
        ("spans", "yes"),
        ("max_records", "many"),
        ("max_records", "99"),
        ("max_spans", "0"),
        ("long_wait_ms", "-1"),
        ("export_timeout_s", "1.5"),
        ("redact", "everything"),
    ],
)
def test_malformed_variable_is_reported_and_its_default_used(
    name: str, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr says which variable, what is wrong and what is used; nothing is raised."""
    variable = "IMPORTTRACE_" + name.upper()
    settings = config.resolve({}, {variable: bad})
    assert getattr(settings, name) == getattr(config.resolve({}, {}), name)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"importtrace: {variable}={bad!r} m")  # must, may
    assert "; using " in captured.err


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("file", 3),
        ("mode", "Auto"),
        ("log", True),
        ("max_records", 1.5),
        ("max_records", True),
        ("max_records", 99),
        ("redact", "address"),
        ("redact", 5),
    ],
)
def test_malformed_argument_is_the_callers_mistake(name: str, bad: object) -> None:
    """A ConfigError names the argument, its value and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        config.resolve({name: bad}, {})
    text = str(caught.value)
    assert text.startswith(f"install({name}={bad!r}): m")
    assert text.endswith("[bad-setting]")
    assert "\n" not in text


def test_unknown_argument() -> None:
    """A misspelt setting is not ignored."""
    with pytest.raises(ConfigError, match="no setting 'flie'"):
        config.resolve({"flie": "x"}, {})


def test_warn_survives_a_program_without_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under pythonw and in some daemons both streams are None."""
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "__stderr__", None)
    config.warn("nobody hears this")


def test_resolve_loads_nothing() -> None:
    """install() reads settings during somebody's start-up: no module may be loaded for it."""
    code = (
        "import sys; from importtrace import config, errors; known = set(sys.modules)\n"
        "config.resolve({'redact': 'all'}, {'IMPORTTRACE_LOG': 'loud', 'IMPORTTRACE_FILE': 'x'})\n"
        "print(sorted(set(sys.modules) - known))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
