"""A user's file in front of the module that was meant, and files that only look so."""

from __future__ import annotations

from corpus.model import Case, Fails, at, step

SITE = ("site-packages",)

CASES = [
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
            # not a race, but likewise: the standard library of 3.15.2 no longer imports that name
            race=variant == "innocent_third",
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
            (
                "star",
                "AttributeError",
                "module 'datetime' has no attribute 'date'",
                "datetime",
                "import calendar",
                "datetime.py",
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
    Case(
        "shadowed_stdlib",
        "twin_own_submodule",
        {
            "main": Fails(
                "ModuleNotFoundError",
                "No module named 'email.sned'",
                "not_found",
                module="email.sned",
                hint=("send",),
            )
        },
    ),
    Case(
        "shadowed_stdlib",
        "twin_own_cycle",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'EVENTS' from partially initialized module 'calendar'",
                "circular",
                module="calendar",
                name="EVENTS",
                cycle=(
                    step("calendar", "calendar.py", "from holidays_of_mine import"),
                    step("holidays_of_mine", "holidays_of_mine.py", "from calendar import"),
                ),
                bound_at=at("calendar.py", "EVENTS = [*HOLIDAYS]"),
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
                "star",
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
        "twin_star",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'Client' from 'acme_http'",
                "missing_name",
                module="acme_http",
                name="Client",
                hint=("in front of",),
            )
        },
        roots=SITE,
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
