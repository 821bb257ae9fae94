"""Which file a process writes its trace to.

Children inherit ``IMPORTTRACE_FILE``. So that none overwrites another's trace, a name without
``{pid}`` belongs to one process, the owner; every other process adds its pid to it.
"""

import os

OWNER = "IMPORTTRACE_FILE_OWNER"


def trace_path(template: str, pid: int, owner: str | None) -> str:
    """The file of process ``pid``.

    ``owner`` is the pid, in decimal, to which a name without ``{pid}`` belongs (the variable
    ``OWNER``); None or "": nobody has claimed it, so it is this process's.

    >>> trace_path("t.{pid}.jsonl", 7, None), trace_path("t.jsonl", 7, "7")
    ('t.7.jsonl', 't.jsonl')
    >>> trace_path("t.jsonl", 8, "7")
    't.8.jsonl'
    """
    if "{pid}" in template:
        return template.replace("{pid}", str(pid))
    if not owner or owner == str(pid):
        return template
    stem, suffix = os.path.splitext(template)
    return f"{stem}.{pid}{suffix}"
