"""Modules whose own code fails, and files that were executed twice."""

from __future__ import annotations

from corpus.model import Case, Fails, Root, at

APART = ("cycle", "partial", "waits", "caught_at", "bound_at")  # facts of other kinds

BODY = [
    Case(
        "body_raised",
        "direct",
        {
            "main": Fails(
                "ValueError",
                "'eighty'",
                "body_raised",
                module="settings",
                starts=at("main.py", "import settings"),
                ends=at("settings.py", 'PORT = int("eighty")'),
                absent=APART,
            )
        },
    ),
    Case(
        "body_raised",
        "by_helper",
        {
            "main": Fails(
                "ValueError",
                "'eighty'",
                "body_raised",
                module="settings",
                starts=at("main.py", "import settings"),
                through=(at("settings.py", 'PORT = port("eighty")'),),
                absent=APART,
            )
        },
    ),
    Case(
        "body_raised",
        "reloaded",
        {
            "main": Fails(
                "ValueError",
                "'eighty'",
                "body_raised",
                module="settings",
                starts=at("main.py", "import app"),
                through=(at("app.py", "VALUE = importlib.reload(settings)"),),
                ends=at("settings.py", "PORT = int(TEXT)"),
                absent=APART,
            )
        },
    ),
    Case(
        "body_raised",
        "syntax",
        {
            "main": Fails(
                "SyntaxError",
                "invalid syntax",
                "body_raised",
                module="settings",
                through=(at("main.py", "import settings"),),
                root=Root(
                    "SyntaxError", at("settings.py", "HOST = = ")
                ),  # not the line that imports it
                absent=APART,
            )
        },
    ),
    Case("body_raised", "twin", {"main": Fails("ValueError", "'eighty'", (None,), notes=0)}),
]

DUPLICATE = [
    Case(
        "duplicate",
        "two_entries",
        {
            "main": Fails(
                "NotFound",
                "pen",
                "duplicate_module",
                starts=at("main.py", "import app"),
                through=(at("app.py", 'FIRST = find("pen")'),),
                absent=("cycle", "partial", "waits"),
                says=("errors.py", "shop.errors"),
            )
        },
    ),
    Case(
        "duplicate",
        "isinstance",
        {
            "main": Fails(
                "TypeError",
                "TablePlugin is not a Plugin",
                "duplicate_module",
                absent=("cycle", "partial", "waits"),
                says=("plugins.py", "shop.plugins"),
            )
        },
    ),
    Case(
        "duplicate",
        "main_again",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'work' from partially initialized module 'worker'",
                "duplicate_module",
                says=("main.py", "__main__"),
            )
        },
    ),
    Case("duplicate", "twin_main"),
    Case(
        "duplicate",
        "twin_other_error",
        {"main": Fails("ValueError", "'pen'", "body_raised", module="app", absent=APART)},
    ),
    Case(
        "duplicate",
        "twin_uncaught",
        {"main": Fails("NotFound", "pen", "body_raised", module="app", absent=APART)},
    ),
    Case(
        "duplicate",
        "twin_two_files",
        {"main": Fails("NotFound", "pen", "body_raised", module="app", absent=APART)},
    ),
]

CASES = [*BODY, *DUPLICATE]
