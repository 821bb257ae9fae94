"""Cycles in one thread, what looks like one, and names that a complete module has not."""

from __future__ import annotations

from ..model import Says, Table

TABLE = Table()
P = TABLE.add

P(
    "flask_app_models",
    """
=== main.py
import app  #@entry
=== app.py
import models  #@out
db = object()  #@bind
=== models.py
from app import db  #@fail
""",
    main=Says(
        "circular",
        root="fail",
        bound="bind",
        module="app",
        last="fail",
        through="entry out fail",
        cycle=("app", "models"),
        note=True,
        never=("thread", "swallow"),
    ),
)
P(
    "flask_app_models_twin",
    """
=== main.py
import app
=== app.py
db = object()
import models
=== models.py
from app import db
""",
)
P(
    "flask_script_twice",
    """
=== main.py
from models import User  #@first
db = object()
=== models.py
from main import db  #@back
class User: pass
""",
    main=Says(
        "duplicate_module|circular", root="first", bound=None, last="first", never=("never bind",)
    ),
)
P(
    "schemas_package",
    """
=== main.py
from schemas import User
=== schemas/__init__.py
from .user import User  #@out
from .address import Address  #@bind
=== schemas/user.py
from schemas import Address  #@fail
class User: home: Address
=== schemas/address.py
class Address: pass
""",
    main=Says(
        "circular",
        root="fail",
        bound="bind",
        module="schemas",
        cycle=("schemas", "schemas.user"),
        last="fail",
    ),
)
P(
    "base_class",
    """
=== main.py
import shapes
=== shapes.py
import square  #@out
class Shape: pass  #@bind
=== square.py
import shapes
class Square(shapes.Shape):  #@fail
    pass
""",
    main=Says(
        "circular",
        root="fail",
        bound="bind",
        module="shapes",
        last="fail",
        cycle=("shapes", "square"),
    ),
)
P(
    "decorator",
    """
=== main.py
import registry
=== registry.py
import handlers  #@out
def register(f):  #@bind
    return f
=== handlers.py
import registry as r
@r.register  #@fail
def on_start(): pass
""",
    main=Says("circular", root="fail", bound="bind", module="registry", last="fail"),
)
P(
    "default_argument",
    """
=== main.py
import client
=== client.py
import settings
def get(url, timeout=settings.TIMEOUT): pass
=== settings.py
import plugins  #@out
TIMEOUT = 3  #@bind
=== plugins.py
import settings
def call(t=settings.TIMEOUT):  #@fail
    pass
""",
    main=Says(
        "circular",
        root="fail",
        bound="bind",
        module="settings",
        cycle=("settings", "plugins"),
        last="fail",
    ),
)
P(
    "star_import",
    """
=== main.py
import base
=== base.py
import impl  #@out
class Base: pass  #@bind
=== impl.py
from base import *
class Impl(Base):  #@fail
    pass
""",
    main=Says("circular", root="fail", bound="bind", module="base", last="fail"),
)
P(
    "star_import_plain_typo",
    """
=== main.py
import impl
=== base.py
class Base: pass
=== impl.py
from base import *
class Impl(Bace):  #@fail
    pass
""",
    main=Says(
        "body_raised|missing_name",
        root="fail",
        last="fail",
        bound="-",
        cycle=(),
        never=("circular", "half", "partial"),
    ),
)
P(
    "submodule_later",
    """
=== main.py
import pkg
=== pkg/__init__.py
from . import a  #@out
from . import b  #@bind
=== pkg/a.py
import pkg
x = pkg.b.VALUE  #@fail
=== pkg/b.py
VALUE = 1
""",
    main=Says("circular", root="fail", bound="bind", module="pkg", last="fail"),
)
P(
    "submodule_never",
    """
=== main.py
import pkg
=== pkg/__init__.py
from . import a
=== pkg/a.py
import pkg
x = pkg.b.VALUE  #@fail
=== pkg/b.py
VALUE = 1
""",
    main=Says("missing_name", root="fail", bound="-", last="fail", says=(r"pkg\.b",), cycle=()),
)
P(
    "through_function",
    """
=== main.py
import a
=== a.py
def setup():
    import b  #@out
    return b
setup()  #@call
late = 1  #@bind
=== b.py
from a import late  #@fail
""",
    main=Says(
        "circular", root="fail", bound="bind", through="out fail", cycle=("a", "b"), last="fail"
    ),
)
P(
    "reexport_of_reexport",
    """
=== main.py
import api
=== api.py
from core import X  #@one
Y = 2  #@bind
=== core.py
from impl import X  #@two
=== impl.py
X = 1
from api import Y  #@fail
""",
    main=Says(
        "circular",
        root="fail",
        bound="bind",
        module="api",
        cycle=("api", "core", "impl"),
        through="one two fail",
    ),
)
P(
    "implied_parent",
    """
=== main.py
import tax.currency
=== tax/__init__.py
import money  #@out
RATE = 7  #@bind
=== tax/currency.py
=== money.py
import tax.currency
from tax import RATE  #@fail
""",
    main=Says("circular", root="fail", bound="bind", module="tax", last="fail"),
)
P(
    "bound_in_many_ways",
    """
=== main.py
import importlib
for one in ("walrus", "unpack", "loop", "with_as", "handler", "import_as", "match", "augmented"):
    try:
        importlib.import_module(one)
    except ImportError as exc:
        judge(one, exc)
=== walrus.py
import u_walrus
if (late := 3) > 2: pass  #@b1
=== u_walrus.py
from walrus import late  #@f1
=== unpack.py
import u_unpack
first, (*late, last) = 1, (2, 3, 4)  #@b2
=== u_unpack.py
from unpack import late  #@f2
=== loop.py
import u_loop
for late in range(3): pass  #@b3
=== u_loop.py
from loop import late  #@f3
=== with_as.py
import u_with
import contextlib
with contextlib.nullcontext(3) as late: pass  #@b4
=== u_with.py
from with_as import late  #@f4
=== handler.py
import u_handler
try:
    1 / 0
except ZeroDivisionError:
    late = 1  #@b5
=== u_handler.py
from handler import late  #@f5
=== import_as.py
import u_import
import json.decoder as late  #@b6
=== u_import.py
from import_as import late  #@f6
=== match.py
import u_match
match (1, 2):
    case (late, _): pass  #@b7
=== u_match.py
from match import late  #@f7
=== augmented.py
import u_aug
late: int
late = 1  #@b8
late += 1
=== u_aug.py
from augmented import late  #@f8
""",
    walrus=Says("circular", root="f1", bound="b1"),
    unpack=Says("circular", root="f2", bound="b2"),
    loop=Says("circular", root="f3", bound="b3"),
    with_as=Says("circular", root="f4", bound="b4"),
    handler=Says("circular", root="f5", bound="b5?"),
    import_as=Says("circular", root="f6", bound="b6"),
    match=Says("circular", root="f7", bound="b7"),
    augmented=Says("circular", root="f8", bound="b8"),
)
P(
    "not_bound_by_these",
    """
=== main.py
import a
=== a.py
import b
class Box:
    late = 1
def f(late=2):
    late = 3
    return [late for late in range(3)]
late: int
=== b.py
from a import late  #@fail
""",
    main=Says(
        "circular|missing_name",
        root="fail",
        bound="-",
        says=(),
        never=("would have been bound at", "binds .late. at"),
    ),
)
P(
    "circular_and_never_bound",
    """
=== main.py
import a
=== a.py
import b
total = 1
=== b.py
from a import totl  #@fail
""",
    main=Says(
        "missing_name|circular",
        root="fail",
        bound="-",
        says=("total|never",),
        never=("moving it above",),
    ),
)
P(
    "parenthesised_crlf",
    """
=== main.py
import pathlib, sys
here = pathlib.Path(__file__).parent
for name in ("a.py", "b.py"):
    path = here / name
    path.write_bytes(b"\\xef\\xbb\\xbf" + path.read_bytes().replace(b"\\n", b"\\r\\n"))
import a
=== a.py
x = "é\\f"
import b
late = \\
    3
=== b.py
from a import (  #@fail
    x,
    late,
)
""",
    main=Says("circular", root="fail", last="fail"),
)
P(
    "user_import_hook",
    """
=== main.py
import builtins
real = builtins.__import__
def hook(name, globals=None, locals=None, fromlist=(), level=0):
    return real(name, globals, locals, fromlist, level)
builtins.__import__ = hook
import a
=== a.py
import b  #@out
late = 1  #@bind
=== b.py
from a import late  #@fail
""",
    main=Says("circular", root="fail", bound="bind", cycle=("a", "b")),
)
P(
    "cycle_in_zip",
    """
=== main.py
import sys, zipfile, pathlib
here = pathlib.Path(__file__).parent
with zipfile.ZipFile(here / "lib.zip", "w") as z:
    z.writestr("za.py", "import zb\\nlate = 1\\n")
    z.writestr("zb.py", "from za import late\\n")
sys.path.insert(0, str(here / "lib.zip"))
import za
""",
    main=Says("circular", says=("late",)),
)
P(
    "signal_handler_comes_back",
    """
=== main.py
import a
=== a.py
import signal
def handler(*_):
    from a import late  #@fail
signal.signal(signal.SIGUSR1, handler)
signal.raise_signal(signal.SIGUSR1)  #@mid
late = 1  #@bind
""",
    main=Says("circular", root="fail", bound="bind"),
)
P(
    "file_changed_meanwhile",
    """
=== main.py
import a
=== a.py
import pathlib
me = pathlib.Path(__file__)
me.write_text("# one\\n# two\\n" + me.read_text())
import b
late = 1  #@bind
=== b.py
from a import late  #@fail
""",
    main=Says("circular", root="fail"),
)
P(
    "reload_is_no_cycle",
    """
=== main.py
import a, importlib
importlib.reload(a)
=== a.py
import sys, importlib
early = 1
if "b" in sys.modules:
    importlib.reload(sys.modules["b"])
else:
    import b
late = 1
=== b.py
import a
x = getattr(a, "late", None)
""",
)
P(
    "reload_now_broken",
    """
=== main.py
import pathlib, importlib, sys
sys.dont_write_bytecode = True
import mod
path = pathlib.Path(mod.__file__)
path.write_text("import nowhere_to_be_found_x\\n")
importlib.reload(mod)  #@reload
=== mod.py
x = 1
""",
    main=Says(
        "not_found", module="nowhere_to_be_found_x", says=("nowhere_to_be_found_x",), cycle=()
    ),
)
# ---- names that a complete module has not
P(
    "typo",
    """
=== main.py
import shop
=== shop.py
from cart import totl  #@fail
=== cart.py
total = 1
""",
    main=Says(
        "missing_name",
        root="fail",
        bound="-",
        module="cart",
        says=("total",),
        never=("circular", "partial"),
        last="fail",
    ),
)
P(
    "type_checking_guard",
    """
=== main.py
from views import Model  #@fail
=== views.py
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from models import Model  #@guarded
=== models.py
class Model: pass
""",
    main=Says("missing_name", root="fail", bound="guarded", module="views", never=("circular",)),
)
P(
    "version_branch",
    """
=== main.py
from compat import text  #@fail
=== compat.py
import sys
if sys.version_info < (3, 0):
    text = None  #@branch
""",
    main=Says("missing_name", root="fail", bound="branch"),
)
P(
    "deleted_name",
    """
=== main.py
from mod import x  #@fail
=== mod.py
x = 1  #@bind
del x  #@gone
""",
    main=Says(
        "missing_name",
        root="fail",
        bound="bind|gone?",
        never=("never bound", "never binds", "no line", "nothing in"),
    ),
)
P(
    "global_in_function",
    """
=== main.py
from mod import engine  #@fail
=== mod.py
def init():
    global engine
    engine = 1  #@inner
""",
    main=Says("missing_name", root="fail", bound="inner?", never=("never bind", "no line")),
)
P(
    "distribution_version",
    """
=== main.py
import site, os, sys
site.addsitedir(os.path.join(os.path.dirname(__file__), "lib", "site-packages"))
from acme_utils import new_api  #@fail
=== lib/site-packages/acme_utils/__init__.py
old_api = 1
=== lib/site-packages/Acme_Toolkit-1.2.dist-info/METADATA
Metadata-Version: 2.1
Name: Acme-Toolkit
Version: 1.2
=== lib/site-packages/Acme_Toolkit-1.2.dist-info/top_level.txt
acme_utils
=== lib/site-packages/Acme_Toolkit-1.2.dist-info/RECORD
acme_utils/__init__.py,,
""",
    main=Says("missing_name", root="fail", bound="-", says=("Acme-Toolkit", "1\\.2")),
)
P(
    "removed_from_stdlib",
    """
=== main.py
try:
    from collections import Mapping  #@f1
except ImportError as exc:
    judge("mapping", exc)
try:
    from math import squareroot  #@f2
except ImportError as exc:
    judge("builtin", exc)
""",
    mapping=Says("missing_name", root="f1", bound="-", never=("distribution", "circular")),
    builtin=Says("missing_name", root="f2", bound="-", never=("distribution", "circular")),
)
P(
    "namespace_folder",
    """
=== main.py
from utils import helper  #@fail
=== utils/readme.txt
data
""",
    main=Says("missing_name|not_found", root="fail", bound="-", never=("circular",)),
)
P(
    "unimported_submodule",
    """
=== main.py
import acme
try:
    acme.second.go()  #@fail
except AttributeError as exc:
    judge("lazy", exc)
=== acme/__init__.py
=== acme/second.py
def go(): pass
""",
    lazy=Says("missing_name", root="fail", bound="-", says=(r"acme\.second",), never=("circular",)),
)
P(
    "module_replaced_itself",
    """
=== main.py
from conf import MISSING  #@fail
=== conf.py
import sys
class Settings:
    DEBUG = 1
sys.modules[__name__] = Settings()
""",
    main=Says("missing_name|", root="fail", never=("circular", "partial")),
)
P(
    "pep562_missing",
    """
=== main.py
import pkg
pkg.Heavy  #@use
=== pkg/__init__.py
CONST = 1
def __getattr__(name):
    if name == "Heavy":
        from . import heavy
        return heavy.Heavy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
=== pkg/heavy.py
from pkg import CONSTS  #@fail
class Heavy: pass
""",
    main=Says("missing_name", root="fail", bound="-", says=("CONST\\b",), never=("circular",)),
)
P(
    "pep562_broken_dependency",
    """
=== main.py
from pkg import Heavy  #@use
=== pkg/__init__.py
def __getattr__(name):
    if name == "Heavy":
        from . import heavy  #@out
        return heavy.Heavy
    raise AttributeError(name)
=== pkg/heavy.py
import libnope_x  #@fail
class Heavy: pass
""",
    main=Says("not_found", root="fail", last="fail", module="libnope_x"),
)
P(
    "pep562_swallows",
    """
=== main.py
from pkg import Heavy  #@use
=== pkg/__init__.py
def __getattr__(name):
    if name == "Heavy":
        try:
            from . import heavy  #@try
        except ImportError:  #@except
            raise AttributeError(name)
        return heavy.Heavy
    raise AttributeError(name)
=== pkg/heavy.py
import libnope_x  #@fail
class Heavy: pass
""",
    main=Says(
        "swallowed_earlier|dependency_failed|missing_name", root="fail|use", never=("circular",)
    ),
)
