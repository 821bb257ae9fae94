"""Imports that a framework makes: a loop over settings, entry points, a walk over a package."""

from __future__ import annotations

from corpus.model import Case, Fails, Root, at, step

SITE = ("site-packages",)

CASES = [
    Case(
        "django_like",
        "buggy",
        {
            "main": Fails(
                "ImportError",
                "cannot import name 'Post' from partially initialized module 'blog.models'",
                "circular",
                module="blog.models",
                name="Post",
                cycle=(
                    step("blog.models", "blog/models.py", "from blog.signals import saved"),
                    step("blog.signals", "blog/signals.py", "from blog.models import Post"),
                ),
                through=(at("framework/apps.py", 'import_module(name + ".models")'),),
                ends=at("blog/signals.py", "from blog.models import Post"),
                bound_at=at("blog/models.py", "class Post:"),
            )
        },
    ),
    Case(
        "django_like",
        "misspelt",
        {
            "main": Fails(
                "ModuleNotFoundError",
                "No module named 'blgo'",
                "not_found",
                module="blgo",
                ends=at("framework/apps.py", "import_module(name)"),
                hint=("blog",),
                notes=None,  # no load encloses it: whether its own find counts as one is open
            )
        },
    ),
    Case("django_like", "twin"),
    Case(
        "entry_points",
        "dependency",
        {
            "main": Fails(
                "ModuleNotFoundError",
                "No module named 'absent_table_engine'",
                "not_found",
                module="absent_table_engine",
                ends=at("site-packages/acme_table.py", "import absent_table_engine"),
            )
        },
        roots=SITE,
    ),
    Case(
        "entry_points",
        "no_attribute",
        {
            "main": Fails(
                "AttributeError",
                "module 'acme_table' has no attribute 'Plugin'",
                "missing_name",
                module="acme_table",
                name="Plugin",
                absent=("cycle", "partial", "bound_at"),
                hint=("Plugins",),
                notes=0,
            )
        },
        roots=SITE,
    ),
    Case(
        "entry_points", "twin", roots=SITE, handled={"absent_table_engine": "ModuleNotFoundError"}
    ),
    Case(
        "walk_packages",
        "buggy",
        {
            "main": Fails(
                "AttributeError",
                "module 'plugins' has no attribute 'beta'",
                "swallowed_earlier",
                module="plugins",
                name="beta",
                ends=at("registry.py", "HOOKS = ["),
                root=Root(
                    "ModuleNotFoundError",
                    at("plugins/beta/__init__.py", "import absent_beta_engine"),
                    message="absent_beta_engine",
                ),
                caught_at=at("pkgutil.py"),
                absent=("cycle", "partial", "waits"),
            )
        },
    ),
    Case(
        "walk_packages",
        "never_walked",
        {
            "main": Fails(
                "AttributeError",
                "module 'plugins' has no attribute 'beta'",
                "missing_name",
                module="plugins",
                name="beta",
                ends=at("registry.py", "HOOKS = ["),
                absent=("cycle", "partial", "root", "caught_at"),
                hint=("plugins.beta",),
            )
        },
    ),
    Case("walk_packages", "twin"),
]
