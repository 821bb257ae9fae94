"""``importtrace run``: a program traced from its first import, in an interpreter of its own.

Nothing of ours stays in the way: the settings become environment variables, the injection directory
goes on PYTHONPATH, and this process becomes the program by exec. So the exit code, signals, stdin,
``sys.argv``, ``sys.path[0]`` and ``__main__`` are the program's own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

from importtrace import config
from importtrace.errors import ConfigError, ImportTraceError
from importtrace.inject import SITE
from importtrace.naming import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EPILOG = (
    "Options end at the target; what follows it belongs to the program. "
    "The program's children are traced too: with {pid} in FILE each writes a file of its own, "
    "without it a child adds its pid to the name."
)

# option: (setting, metavar, help)
_OPTIONS: dict[str, tuple[str, str, str]] = {
    "--mode": ("mode", "MODE", "what to observe by: " + ", ".join(config.MODES)),
    "--log": ("log", "LEVEL", "what is logged: " + ", ".join(config.LOGS)),
    "--spans": ("spans", "WHEN", "whether spans are sent: " + ", ".join(config.SPANS)),
    "--max-records": ("max_records", "N", "how many imports are kept"),
    "--max-spans": ("max_spans", "N", "how many spans are sent; the rest is folded into counts"),
    "--long-wait-ms": ("long_wait_ms", "MS", "a wait of this length is worth an event and a span"),
    "--export-timeout-s": ("export_timeout_s", "S", "how long sending may take, all told"),
    "--redact": ("redact", "LIST", "what does not leave the process: statements,messages,home"),
}


class TargetError(ImportTraceError):
    """What was to be run is not there."""

    slug = "bad-target"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options and the target of ``importtrace run`` on ``parser``."""
    parser.usage = "importtrace run [options] SCRIPT | -m MODULE | -c CODE | -- PROGRAM [ARG ...]"
    parser.epilog = EPILOG
    parser.add_argument(
        "-o", "--file", metavar="FILE", help="where the trace goes; {pid} is filled in"
    )
    parser.add_argument(
        "--spool", metavar="DIR", help="write every import into a file there as it happens"
    )
    for option, (setting, metavar, text) in _OPTIONS.items():
        parser.add_argument(option, dest=setting, metavar=metavar, help=text)
    parser.add_argument("--python", metavar="EXE", help="the interpreter of SCRIPT, -m or -c")
    # REMAINDER: the program's own options are none of ours
    for option, dest, what in (("-m", "module", "MODULE"), ("-c", "code", "CODE")):
        text = f"{what} and its arguments, as in: python {option} {what}"
        parser.add_argument(option, dest=dest, nargs=argparse.REMAINDER, help=text)
    parser.add_argument("target", nargs=argparse.REMAINDER, metavar="SCRIPT | -- PROGRAM ...")


def main(options: argparse.Namespace) -> int:
    """Run the program; does not return where exec exists. Raises TargetError, ConfigError."""
    command = command_line(options)
    environment = environ(options, os.environ)
    try:
        return _become(command, environment)
    except OSError as error:
        why = error.strerror or error
        raise TargetError(f"cannot run {command[0]!r}: {why}; check the path") from error


def environ(options: argparse.Namespace, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment in which the program is traced; raises ConfigError."""
    out = dict(inherited)
    out["IMPORTTRACE"] = "1"
    for option, (setting, _, _) in _OPTIONS.items():
        value = getattr(options, setting)
        if value is None:
            continue
        _, parse = config._SETTINGS[setting]
        try:
            parse(value)
        except ValueError as error:
            raise ConfigError(f"{option} {value!r}: {error}") from None
        out["IMPORTTRACE_" + setting.upper()] = value
    if options.file:
        # absolute: the program may change its directory
        out["IMPORTTRACE_FILE"] = os.path.abspath(options.file)
    if options.spool:
        out["IMPORTTRACE_SPOOL"] = os.path.abspath(options.spool)
    out.pop(OWNER, None)
    if os.name != "nt":
        out[OWNER] = str(os.getpid())  # exec keeps the pid
    out["PYTHONPATH"] = _prepend(SITE, inherited.get("PYTHONPATH", ""))
    return out


def command_line(options: argparse.Namespace) -> list[str]:
    """The program to become and its arguments; raises TargetError."""
    target: list[str] = options.target
    if options.module is not None:
        return [*_python(options), "-m", *_at_least_one(options.module, "-m MODULE"), *target]
    if options.code is not None:
        return [*_python(options), "-c", *_at_least_one(options.code, "-c CODE"), *target]
    if target[:1] == ["--"]:
        name, *arguments = _at_least_one(target[1:], "-- PROGRAM")
        program = shutil.which(name)
        if program is None:
            raise TargetError(f"cannot run {name!r}: no such program; check the name and PATH")
        # argv[0] as a shell gives it: some programs look at the name they were called by
        return [program, name, *arguments]
    script = _at_least_one(target, "SCRIPT")[0]
    if script != "-" and not os.path.exists(script):
        hint = "; for a program on PATH write: importtrace run -- " + script
        raise TargetError(
            f"cannot run {script!r}: no such file"
            + (hint if shutil.which(script) else "; check the path")
        )
    return [*_python(options), *target]


def interpreter_options(original: Iterable[str]) -> list[str]:
    """The options that ``original`` (``sys.orig_argv``) gave to the interpreter, for the program.

    ``python -X dev -m importtrace run app.py`` stands for ``python -X dev app.py``. Left out are
    -E, -I and -S: with these no interpreter can be traced by injection, so they were meant for us.
    """
    kept: list[str] = []
    words = iter(list(original)[1:])
    for word in words:
        if word.startswith("--"):  # --check-hash-based-pycs is the only one, and takes a value
            kept += [word, *([] if "=" in word else [next(words, "")])]
            continue
        if not word.startswith("-") or word == "-":
            break
        for index, letter in enumerate(word[1:], start=1):
            if letter in "mc":
                return kept
            if letter in "WX":
                kept.append("-" + letter + (word[index + 1 :] or next(words, "")))
                break
            if letter not in "EIS":
                kept.append("-" + letter)
    return kept


def _python(options: argparse.Namespace) -> list[str]:
    """Program, argv[0] and interpreter options."""
    if options.python is None:
        if not sys.executable:
            raise TargetError("cannot run: this interpreter has no path of its own; use --python")
        return [sys.executable, sys.executable, *interpreter_options(sys.orig_argv)]
    found = shutil.which(options.python)
    if found is None:
        raise TargetError(f"cannot run {options.python!r}: no such interpreter; check --python")
    return [found, found]


def _at_least_one(words: list[str], what: str) -> list[str]:
    if not words:
        raise TargetError(f"nothing to run: give {what} behind the options, see importtrace run -h")
    return words


def _prepend(directory: str, path: str) -> str:
    if os.pathsep in directory:
        raise TargetError(
            f"cannot trace by PYTHONPATH: {directory!r} contains {os.pathsep!r}; "
            "install importtrace elsewhere"
        )
    # an empty part of PYTHONPATH is the working directory: none may come about
    return directory + os.pathsep + path if path else directory


def _become(command: list[str], environment: dict[str, str]) -> int:
    """Replace this process; ``command`` is the file, then argv."""
    file, *argv = command
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    if os.name == "nt":
        return _wait_for(file, argv, environment)
    # CPython ignores these in itself, exec passes that on; to the program it is as from a shell.
    for name in ("SIGPIPE", "SIGXFZ", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    return os.execve(file, argv, environment)


def _wait_for(file: str, argv: list[str], environment: dict[str, str]) -> int:
    """Where exec would return to the shell at once (Windows): a child, its exit code ours."""
    import subprocess

    with subprocess.Popen(argv, executable=file, env=environment) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue  # the child got it too, and decides
