"""Names lost with a failure that was caught, and failures that were caught without harm."""

from __future__ import annotations

from corpus.model import Case, Fails, Root, at

SITE = ("site-packages",)
NOTHING_CIRCULAR = ("cycle", "partial", "root", "waits", "caught_at")

NATIVE_LINE = at("site-packages/fastlib/__init__.py", "from fastlib._native import dumps")
BROKEN = Root("ModuleNotFoundError", NATIVE_LINE, message="fastlib._native")

SWALLOWED = [
    Case(
        "swallowed",
        "broken_name",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'dumps' from 'app.compat'",
                "swallowed_earlier",
                module="app.compat",
                name="dumps",
                ends=at("app/backend.py", "from app.compat import dumps"),
                root=BROKEN,
                caught_at=at("app/compat.py", "except ImportError:"),
                absent=("cycle", "partial", "waits"),
            )
        },
        roots=SITE,
        handled={"fastlib": "ModuleNotFoundError"},
    ),
    *(
        Case(
            "swallowed",
            variant,
            {
                "main": Fails(
                    "ImportError",
                    "cannot import name 'dumps' from 'app.compat'",
                    "swallowed_earlier",
                    module="app.compat",
                    name="dumps",
                    ends=at("app/backend.py", "from app.compat import dumps"),
                    root=BROKEN,
                    caught_at=at("app/compat.py", "except ImportError:"),
                    bound_at=at("app/compat.py", statement),
                    absent=("cycle", "partial", "waits"),
                )
            },
            roots=SITE,
            handled={"fastlib": "ModuleNotFoundError"},
        )
        for variant, statement in (
            ("else_name", "dumps = fastlib.dumps"),
            ("star_name", "from fastlib import *"),
            ("flag_name", "dumps = fastlib.dumps"),
            ("flag_none", "dumps = fastlib.dumps"),
        )
    ),
    *(
        Case(
            "swallowed",
            variant,
            {
                "main": Fails(
                    "ImportError",
                    "cannot import name 'dumps' from 'app.compat'",
                    "missing_name",
                    module="app.compat",
                    name="dumps",
                    absent=NOTHING_CIRCULAR,
                )
            },
            roots=SITE,
            handled={"fastlib": "ModuleNotFoundError"},
        )
        # whole, fastlib would not have given it; or it is not what the branch asks for
        for variant in ("star_unexported", "star_other", "flag_set_again")
    ),
    Case(
        "swallowed",
        "absent_name",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'dumps' from 'app.compat'",
                "swallowed_earlier",
                module="app.compat",
                name="dumps",
                # nothing is broken: fastlib is not there, and the failing line is the program's own
                root=Root(
                    "ModuleNotFoundError",
                    at("app/compat.py", "from fastlib import dumps"),
                    message="No module named 'fastlib'",
                ),
                caught_at=at("app/compat.py", "except ImportError:"),
                absent=("cycle", "partial", "waits"),
                says_not=("_native",),
            )
        },
        handled={"fastlib": "ModuleNotFoundError"},
    ),
    Case(
        "swallowed",
        "broken_nameerror",
        {
            "main": Fails(
                "NameError",
                "name 'fastlib' is not defined",
                "swallowed_earlier",
                name="fastlib",
                ends=at("app/backend.py", "dumps = fastlib.dumps"),
                root=Root(
                    "ValueError",
                    at("site-packages/fastlib/__init__.py", 'LEVEL = int("high")'),
                    ("fastlib",),
                ),
                caught_at=at("app/backend.py", "except Exception:"),
                absent=("cycle", "partial", "waits"),
            )
        },
        roots=SITE,
    ),
    Case(
        "swallowed",
        "broken_said",
        {
            "main": Fails(
                "ImportError",
                "fastlib is not installed",
                "swallowed_earlier",
                ends=at("app/backend.py", "raise ImportError("),
                root=BROKEN,
                caught_at=at("app/compat.py", "except ImportError:"),
                absent=("cycle", "partial", "waits"),
            )
        },
        roots=SITE,
        handled={"fastlib": "ModuleNotFoundError"},
    ),
    Case(
        "swallowed",
        "absent_said",
        {
            "main": Fails(
                "ImportError",
                "fastlib is not installed",
                # the message is right; what must not be said is that fastlib is there and broken
                ("swallowed_earlier", "not_found", "body_raised"),
                ends=at("app/backend.py", "raise ImportError("),
                absent=("cycle", "partial", "waits"),
                says=("fastlib",),
                says_not=("_native", "broken"),
            )
        },
        handled={"fastlib": "ModuleNotFoundError"},
    ),
    Case(
        "swallowed",
        "broken_none",
        {
            "main": Fails(
                "AttributeError",
                "'NoneType' object has no attribute 'dumps'",
                "swallowed_earlier",
                ends=at("app/backend.py", "dumps = fastlib.dumps"),
                root=BROKEN,
                caught_at=at("app/compat.py", "except ImportError:"),
                absent=("cycle", "partial", "waits"),
            )
        },
        roots=SITE,
        handled={"fastlib": "ModuleNotFoundError"},
    ),
    Case(
        "swallowed",
        "unrelated",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'dmups' from 'app.compat'",
                "missing_name",
                module="app.compat",
                name="dmups",
                absent=(*NOTHING_CIRCULAR, "bound_at"),
                hint=("dumps",),
                says_not=("_native",),
            )
        },
        roots=SITE,
        handled={"fastlib": "ModuleNotFoundError"},
    ),
    Case(
        "swallowed",
        "other_name",
        {
            "main": Fails(
                "NameError",
                "name 'fast_lb' is not defined",
                "body_raised",
                ends=at("app/backend.py", "dumps = fast_lb.dumps"),
                absent=(*NOTHING_CIRCULAR, "bound_at"),
            )
        },
    ),
    Case(
        "swallowed",
        "recovered",
        {
            "main": Fails(
                "AttributeError",
                "module 'slowlib' has no attribute 'dmups'",
                "missing_name",
                module="slowlib",
                name="dmups",
                ends=at("app/backend.py", "dumps = library.dmups"),
                absent=(*NOTHING_CIRCULAR, "bound_at"),
                hint=("dumps",),
            )
        },
        roots=SITE,
    ),
    Case(
        "swallowed",
        "said_of_another",
        {
            "main": Fails(
                "ImportError",
                "fastlib is too old",
                "body_raised",
                module="app.backend",
                ends=at("app/backend.py", "raise ImportError("),
                absent=(*NOTHING_CIRCULAR, "bound_at"),
            )
        },
        roots=SITE,
    ),
    Case(
        "swallowed",
        "stored",
        {
            "main": Fails(
                "ModuleNotFoundError",
                "No module named 'fastlib'",
                "not_found",
                module="fastlib",
                starts=at("main.py", "import app.backend"),
                absent=("cycle", "partial", "waits", "bound_at"),
            )
        },
        handled={"fastlib": "ModuleNotFoundError"},
    ),
    Case("swallowed", "twin", roots=SITE, handled={"fastlib": "ModuleNotFoundError"}),
]

HANDLED = [
    Case(
        "handled",
        "absent",
        {
            "optional": Fails(
                "ModuleNotFoundError",
                "'absent_speedups'",
                "not_found",
                module="absent_speedups",
                notes=0,
            )
        },
        handled={"absent_speedups": "ModuleNotFoundError"},
    ),
    Case(
        "handled",
        "missing_name",
        {
            "optional": Fails(
                "ImportError", "'absent_function'", "missing_name", module="string", notes=0
            )
        },
    ),
    Case(
        "handled",
        "broken",
        # it left a load (its own), so it carries its note; nobody prints it
        {"optional": Fails("ValueError", "'high'", "body_raised", module="broken_speedups")},
        handled={"broken_speedups": "ValueError"},
    ),
    Case(
        "handled",
        "reraised",
        {
            "main": Fails(
                "ModuleNotFoundError",
                "'absent_speedups'",
                "not_found",
                module="absent_speedups",
                starts=at("main.py", "import outer"),
                through=(at("outer.py", "import inner"),),
                ends=at("inner.py", "import absent_speedups"),
            )
        },
        notes_within=0,
    ),
]

CASES = [*SWALLOWED, *HANDLED]
