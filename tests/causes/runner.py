"""Runs one program of the corpus in this fresh interpreter, and prints what happened as JSON.

    python runner.py MODE SCRIPT [ROOT…]

MODE is ``off`` (importtrace is never imported), ``auto``, ``probes`` or ``finder``. This file is
copied to the folder of SCRIPT, so that ``sys.path[0]`` is as if that had been started; each ROOT is
appended to ``sys.path``, where site-packages stands. Only ``sys`` is imported before the program,
so that nothing hides a load of its own.

Of each exception (the one that ended the script, as ``main``; those it left in a global ``CAUGHT``,
under their keys) it tells type, message, notes, traceback and, when traced, the explanation.
"""

import sys


def run(script: str) -> dict[str, BaseException]:
    program = type(sys)("__main__")
    program.__file__ = script
    sys.modules["__main__"] = program
    with open(script, encoding="utf-8") as file:
        code = compile(file.read(), script, "exec")
    failed: dict[str, BaseException] = {}
    try:
        exec(code, program.__dict__)
    except BaseException as error:
        failed["main"] = error
    caught = getattr(program, "CAUGHT", {})
    return {**caught, **failed}


def describe(error: BaseException, explain) -> dict:
    out = {
        "type": type(error).__name__,
        "message": str(error),
        "notes": list(getattr(error, "__notes__", ())),
    }
    if explain is not None:
        try:
            cause = explain(error)
            out["cause"] = None if cause is None else cause.to_dict()
            out["text"] = None if cause is None else cause.text()
        except Exception as raised:  # the worst answer of all; the tests say so
            out |= {"cause": None, "text": None, "explain_raised": repr(raised)}
    return out


def traceback_lines(error: BaseException) -> list[str]:
    """The traceback as it would be printed, without any note."""
    import traceback

    seen: list[BaseException] = [error]
    for one in seen:  # grows while it is walked
        if hasattr(one, "__notes__"):
            del one.__notes__
        seen += [
            e
            for e in (one.__cause__, one.__context__)
            if e is not None and not any(e is s for s in seen)
        ]
    return "".join(traceback.format_exception(error)).splitlines()


def main() -> None:
    mode, script, *roots = sys.argv[1:]
    script = f"{sys.path[0]}/{script}"
    sys.argv[:] = [script]
    sys.path += roots
    explain = session = None
    if mode != "off":
        import importtrace

        session = importtrace.install(mode=mode, log="off", spans="off")
        explain = importtrace.explain
    errors = run(script)
    out: dict = {"errors": {name: describe(error, explain) for name, error in errors.items()}}
    del sys.path[0]  # what is imported from here on is ours, not the program's
    if session is not None:
        out["records"] = [record.to_dict() for record in session.trace().records]
    import builtins

    out["notes_within"] = getattr(builtins, "NOTES_WITHIN", None)
    for name, error in errors.items():
        out["errors"][name]["traceback"] = traceback_lines(error)
    import json

    sys.stdout.write("\nRESULT " + json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
