"""Names missing from finished modules: never bound, bound elsewhere, or shadowed."""

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

SHADOWED = [
    *(
        Case(
            "shadowed_stdlib",
            variant,
            {
                "main": Fails(
                    type_,
                    message,
                    "shadowed",
                    module=module,
                    starts=at("main.py", "import program"),
                    through=(at("program.py", statement),),
                    absent=("cycle",),
                    says=(file,),
                )
            },
        )
        for variant, type_, message, module, statement, file in (
            (
                "module",
                "ImportError",
                "cannot import name 'timegm' from 'calendar'",
                "calendar",
                "import http.cookiejar",
                "calendar.py",
            ),
            (
                "package",
                "ModuleNotFoundError",
                "No module named 'email.parser'",
                "email",
                "import http.client",
                "email/__init__.py",
            ),
            (
                "attribute",
                "AttributeError",
                "module 'socketserver' has no attribute 'TCPServer'",
                "socketserver",
                "import http.server",
                "socketserver.py",
            ),
            (
                "innocent_third",
                "ImportError",
                "cannot import name 'dataclass' from partially initialized module 'dataclasses'",
                "inspect",
                "import dataclasses",
                "inspect.py",
            ),
        )
    ),
    Case("shadowed_stdlib", "twin_complete"),
    Case(
        "shadowed_stdlib",
        "twin_own_name",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'evnts' from 'calendar'",
                "missing_name",
                module="calendar",
                name="evnts",
                hint=("events",),
            )
        },
    ),
    Case(
        "shadowed_stdlib",
        "twin_in_package",
        {
            "main": Fails(
                "ImportError",
                "'dataclass' from partially initialized module 'tools.dataclasses'",
                "circular",
                module="tools.dataclasses",
                name="dataclass",
                cycle=(
                    step("tools.dataclasses", "tools/dataclasses.py", "from tools.inspect import"),
                    step("tools.inspect", "tools/inspect.py", "from tools.dataclasses import"),
                ),
                bound_at=at("tools/dataclasses.py", "def dataclass"),
            )
        },
    ),
    *(
        Case(
            "shadowed_distribution",
            variant,
            {
                "main": Fails(
                    type_,
                    message,
                    "shadowed",
                    module="acme_http",
                    ends=ends,
                    absent=("cycle",),
                    says=("acme_http.py",),
                )
            },
            roots=SITE,
        )
        for variant, type_, message, ends in (
            (
                "name",
                "ImportError",
                "cannot import name 'Client' from 'acme_http'",
                at("program.py", "from acme_http import Client"),
            ),
            (
                "submodule",
                "ModuleNotFoundError",
                "No module named 'acme_http.errors'; 'acme_http' is not a package",
                at("program.py", "from acme_http.errors import"),
            ),
            (
                "itself",
                "ImportError",
                "cannot import name 'Client' from partially initialized module 'acme_http'",
                at("acme_http.py", "from acme_http import Client"),
            ),
        )
    ),
    Case(
        "shadowed_distribution",
        "twin",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'Client' from 'acme_http'",
                "missing_name",
                module="acme_http",
                name="Client",
                says=("http 2.3",),
            )
        },
        roots=SITE,
    ),
]

CASES = [*BRANCH, *MISSING, *SHADOWED]
