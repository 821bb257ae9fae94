"""The command line: parse, call, print, exit code. What a command needs is imported by it.

Exit codes: 0; 2 for bad input, with one line on stderr; 130 after Ctrl-C; 141 when the reader of
the output went away. ``run`` has the program's own.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from importtrace.errors import ImportTraceError, TraceFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from importtrace.records import Trace

BAD_INPUT = 2

# command: (help, the module that has its ``add_arguments(parser)`` and ``main(given) -> exit code``)
_COMMANDS = {
    "reproduce": ("find an order or a race that fails, and prove it", "importtrace.race.command"),
    "replay": ("force the order of imports that a trace holds", "importtrace.race.replay_command"),
    "run": ("run a program traced, in a fresh interpreter", "importtrace.inject.run"),
    "ship": ("send traces by OTLP, each span once", "importtrace.shipping.command"),
    "demo": ("an import that fails in three threads, explained", "importtrace.demo"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. ``arguments`` is ``sys.argv[1:]`` where not given."""
    for stream in (sys.stdout, sys.stderr):
        # A trace may hold names that a terminal's encoding lacks; none of them may end the report.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _dispatch(_parse(given))
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except ImportTraceError as error:
        return _fail(str(error))
    except BrokenPipeError:
        _silence_stdout()
        return 141
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        _silence_stdout()
        if "No usable temporary directory" in str(error):
            return _fail(f"{error.strerror}; set TMPDIR to a folder that can be written")
        if error.filename is not None:  # what writes on a stream names no file
            return _fail(f"cannot use {error.filename!r}: {error.strerror}; check its permissions")
        return _fail(f"cannot write the output: {error.strerror or error}")


def _fail(line: str) -> int:
    print(f"importtrace: {' '.join(line.splitlines())}", file=sys.stderr)
    return BAD_INPUT


def _silence_stdout() -> None:
    # What is still buffered would fail once more when the interpreter flushes at exit.
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        pass  # no file behind stdout: nothing is flushed either


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f'{self.prog}: {message}; see "{self.prog} --help"\n')


def _parse(given: list[str]) -> argparse.Namespace:
    parser = _parser(given[:1])
    known, unknown = parser.parse_known_args(given)
    if unknown:
        if known.command is not None:  # its own help is the one that has the options
            parser.prog += f" {known.command}"
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return known


def _parser(command: Sequence[str] = ()) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="importtrace",
        description="Records every import of a Python process and explains the ones that fail.",
    )
    parser.add_argument("--version", action="store_true", help="same as the command version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    for name, (text, module) in _COMMANDS.items():
        subparser = commands.add_parser(name, help=text)
        if name in command:
            import_module(module).add_arguments(subparser)

    explain = commands.add_parser("explain", help="the failures in a trace, and their causes")
    _traces(explain)
    explain.add_argument("--json", action="store_true", help="a JSON list on stdout")
    explain.add_argument(
        "--all", action="store_true", help="also failures that the program handled"
    )

    report = commands.add_parser("report", help="what a trace holds: times, waits, tree")
    _traces(report)
    report.add_argument("--format", choices=("text", "json"), default="text")
    report.add_argument("--json", action="store_const", dest="format", const="json")
    report.add_argument("-o", dest="output", metavar="FILE", help="write it there, not to stdout")
    report.add_argument("--all", action="store_true", help="fold nothing")

    commands.add_parser("version", help="the versions of importtrace and of this Python")
    return parser


def _traces(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("traces", nargs="+", metavar="TRACE", help="a trace file, or a spool file")


def _dispatch(given: argparse.Namespace) -> int:
    if given.version or given.command == "version":
        return _version()
    if given.command is None:
        _parser().print_help()
        return BAD_INPUT
    if given.command in _COMMANDS:
        status: int = import_module(_COMMANDS[given.command][1]).main(given)
        return status
    return _explain(given) if given.command == "explain" else _report(given)


def _version() -> int:
    import platform

    from importtrace import __version__

    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"importtrace {__version__}, {python}")
    return 0


def _read(path: str) -> Trace:
    from importtrace import tracefile

    if os.path.isdir(path):
        raise TraceFileError(f"{path!r} is a directory; name the trace files in it")
    return tracefile.read(path)


def _explain(given: argparse.Namespace) -> int:
    traces = [(path, _read(path)) for path in given.traces]
    from importtrace.reports import causes
    from importtrace.reports.terminal import colour_wanted

    if given.json:
        import json

        pairs = [
            {"import": None if record is None else record.to_dict(), "cause": cause}
            for _, trace in traces
            for record, cause in causes.explained(trace)
        ]
        print(json.dumps(pairs, indent=2, default=str))
        return 0
    coloured = colour_wanted()
    print(
        "\n".join(
            causes.report(trace, path, colour=coloured, everything=given.all)
            for path, trace in traces
        ),
        end="",
    )
    return 0


def _report(given: argparse.Namespace) -> int:
    traces = [(path, _read(path)) for path in given.traces]
    if given.format == "json":
        import json

        from importtrace.reports import figures

        found = [figures.figures(trace, path) for path, trace in traces]
        text = json.dumps(found, indent=2, default=str) + "\n"
    else:
        from importtrace.reports import text as plain
        from importtrace.reports.terminal import colour_wanted

        coloured = given.output is None and colour_wanted()
        text = "\n".join(
            plain.report(trace, path, colour=coloured, everything=given.all)
            for path, trace in traces
        )
    if given.output is None:
        print(text, end="")
    else:
        _write(given.output, text, given.traces)
    return 0


def _write(path: str, text: str, traces: list[str]) -> None:
    if any(os.path.exists(path) and os.path.samefile(path, trace) for trace in traces):
        raise TraceFileError(f"-o {path!r} would overwrite the trace; name another file")
    try:
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as out:
            out.write(text)
    except OSError as error:
        raise TraceFileError(f"cannot write {path!r}: {error.strerror}; check -o") from error
