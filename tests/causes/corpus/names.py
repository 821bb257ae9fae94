"""Names missing from finished modules: never bound, or bound by a line that did not run."""

from __future__ import annotations

from corpus.model import Case, Fails, Root, at, step

SITE = ("site-packages",)
NOTHING_CIRCULAR = ("cycle", "partial", "root", "waits", "caught_at")

BRANCH = [
    Case(
        "branch",
        "not_taken",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'fast' from 'tables'",
                "missing_name",
                module="tables",
                name="fast",
                ends=at("user.py", "from tables import fast"),
                bound_at=at("tables.py", "def fast"),
                absent=NOTHING_CIRCULAR,
            )
        },
    ),
    Case(
        "branch",
        "half_built",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'fast' from partially initialized module 'tables'",
                "circular",
                module="tables",
                name="fast",
                bound_at=(at("tables.py", "fast = 1"), at("tables.py", "fast = 2")),
            )
        },
    ),
    Case("branch", "twin"),
]

MISSING = [
    Case(
        "missing_name",
        "typo",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'totl' from 'cart'",
                "missing_name",
                module="cart",
                name="totl",
                starts=at("main.py", "import app"),
                ends=at("app.py", "from cart import discount, totl"),
                absent=(*NOTHING_CIRCULAR, "bound_at"),
                hint=("total",),
            )
        },
    ),
    Case(
        "missing_name",
        "typo_in_script",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'totl' from 'cart'",
                "missing_name",
                module="cart",
                name="totl",
                ends=at("main.py", "from cart import totl"),
                absent=(*NOTHING_CIRCULAR, "bound_at"),
                hint=("total",),
                notes=0,  # it never left a load
            )
        },
    ),
    Case(
        "missing_name",
        "typo_attribute",
        {
            "main": Fails(
                "AttributeError",
                "module 'cart' has no attribute 'totl'",
                "missing_name",
                module="cart",
                name="totl",
                ends=at("app.py", "VALUE = cart.totl"),
                absent=(*NOTHING_CIRCULAR, "bound_at"),
                hint=("total",),
            )
        },
    ),
    Case(
        "missing_name",
        "no_near_miss",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'zebra_crossing' from 'cart'",
                "missing_name",
                module="cart",
                name="zebra_crossing",
                absent=(*NOTHING_CIRCULAR, "bound_at"),
                says_not=("did you mean",),
                notes=0,
            )
        },
    ),
    Case(
        "missing_name",
        "getattr_refuses",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'totl' from 'lazy_cart'",
                "missing_name",
                module="lazy_cart",
                name="totl",
                absent=(*NOTHING_CIRCULAR, "bound_at"),
                notes=0,
            )
        },
    ),
    Case(
        "missing_name",
        "of_distribution",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'Session' from 'acme_http'",
                "missing_name",
                module="acme_http",
                name="Session",
                absent=(*NOTHING_CIRCULAR, "bound_at"),
                says=("http 2.3",),
            )
        },
        roots=SITE,
    ),
    Case(
        "missing_name",
        "star",
        {
            "main": Fails(
                "AttributeError",
                "module 'tables' has no attribute 'secnd'",
                "missing_name",
                module="tables",
                name="secnd",
                ends=at("app.py", "from tables import *"),
                absent=(*NOTHING_CIRCULAR, "bound_at"),
                hint=("second",),
            )
        },
    ),
    Case(
        "missing_name",
        "deleted",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'codec' from 'tables'",
                "missing_name",
                module="tables",
                name="codec",
                ends=at("app.py", "from tables import codec"),
                absent=NOTHING_CIRCULAR,
            )
        },
    ),
    Case("missing_name", "twin"),
    Case(
        "later_statement",
        "failed_statement",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'codec' from 'tables'",
                "missing_name",
                module="tables",
                name="codec",
                bound_at=at("tables.py", "codec = open("),
                absent=("cycle", "partial", "waits"),
            )
        },
    ),
    Case(
        "later_statement",
        "failed_import",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'codec' from 'tables'",
                "swallowed_earlier",
                module="tables",
                name="codec",
                bound_at=at("tables.py", "from absent_codecs import codec"),
                root=Root(
                    "ModuleNotFoundError",
                    at("tables.py", "from absent_codecs import codec"),
                    message="absent_codecs",
                ),
                caught_at=at("tables.py", "except ImportError:"),
                absent=("cycle", "partial", "waits"),
            )
        },
        handled={"absent_codecs": "ModuleNotFoundError"},
    ),
    Case(
        "later_statement",
        "failed_body",
        {
            "main": Fails(
                "AttributeError",
                "module 'tables' has no attribute 'codec'",
                "swallowed_earlier",
                module="tables",
                name="codec",
                ends=at("user.py", "VALUE = hub.tables.codec"),
                bound_at=at("tables.py", 'codec = "utf-8"'),
                root=Root("ValueError", at("tables.py", 'LIMIT = int("ten")'), ("tables",)),
                caught_at=at("user.py", "except ValueError:"),
                absent=("cycle", "waits"),
            )
        },
    ),
    Case("later_statement", "twin"),
]

# 3.13.0 says of an AttributeError on a half-built module only that its file could be renamed
CLAIM = "(circular import|consider renaming)"

SUBMODULE = [
    Case(
        "submodule",
        "bound_later",
        {
            "main": Fails(
                "AttributeError",
                f"module 'acme' has no attribute 'second'.*{CLAIM}",
                "circular",
                module="acme",
                name="second",
                cycle=(
                    step("acme", "acme/__init__.py", "from acme.first import FIRST"),
                    step("acme.first", "acme/first.py", "import acme"),
                ),
                ends=at("acme/first.py", "FIRST = acme.second.VALUE"),
                bound_at=at("acme/__init__.py", "from acme import second"),
            )
        },
    ),
    Case(
        "submodule",
        "half_built",
        {
            "main": Fails(
                "AttributeError",
                f"module 'acme' has no attribute 'second'.*{CLAIM}",
                "missing_name",
                module="acme",
                name="second",
                ends=at("acme/first.py", "FIRST = acme.second.VALUE"),
                absent=("cycle", "bound_at"),
                hint=("acme.second",),
            )
        },
    ),
    Case("submodule", "twin"),
    Case(
        "submodule",
        "never_imported",
        {
            "main": Fails(
                "AttributeError",
                "module 'acme' has no attribute 'second'",
                "missing_name",
                module="acme",
                name="second",
                starts=at("main.py", "import user"),
                ends=at("user.py", "VALUE = acme.second.VALUE"),
                absent=("cycle", "bound_at", "partial"),
                hint=("acme.second",),
            )
        },
    ),
]

CASES = [*BRANCH, *MISSING, *SUBMODULE]
