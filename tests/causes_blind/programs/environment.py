"""What stands in front, what cannot be linked, what was forbidden, loaded twice or removed; and silence."""

from __future__ import annotations

from ..model import Says, Table

TABLE = Table()
P = TABLE.add

P(
    "shadow_random",
    """
=== main.py
import random
random.randint(1, 2)  #@fail
=== random.py
def pick(): pass
""",
    main=Says("shadowed", root="fail", module="random", says=("random\\.py",), bound=None),
)
P(
    "shadow_email",
    """
=== main.py
import smtplib
=== email.py
GREETING = "hello"
""",
    main=Says("shadowed", module="email", says=("email\\.py",)),
)
P(
    "shadow_token",
    """
=== main.py
import tokenize
=== token.py
SECRET = 1
""",
    main=Says("shadowed", module="token", says=("token\\.py",)),
)
P(
    "shadow_installed",
    """
=== main.py
import site, os, sys
site.addsitedir(os.path.join(os.path.dirname(__file__), "lib", "site-packages"))
from requestz import get  #@fail
=== requestz.py
import requestz_helper
=== requestz_helper.py
=== lib/site-packages/requestz/__init__.py
def get(): pass
=== lib/site-packages/requestz-2.0.dist-info/METADATA
Metadata-Version: 2.1
Name: requestz
Version: 2.0
=== lib/site-packages/requestz-2.0.dist-info/RECORD
requestz/__init__.py,,
=== lib/site-packages/requestz-2.0.dist-info/top_level.txt
requestz
""",
    main=Says("shadowed", module="requestz", root="fail"),
)
P(
    "script_named_as_library",
    """
=== acme.py
import site, os, sys
site.addsitedir(os.path.join(os.path.dirname(__file__), "lib", "site-packages"))
from acme import App  #@fail
=== lib/site-packages/acme/__init__.py
class App: pass
=== lib/site-packages/acme-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: acme
Version: 1.0
=== lib/site-packages/acme-1.0.dist-info/RECORD
acme/__init__.py,,
=== lib/site-packages/acme-1.0.dist-info/top_level.txt
acme
""",
    entry="acme.py",
    main=Says("shadowed|duplicate_module", says=("acme\\.py",), bound="-"),
)
P(
    "own_random_in_package",
    """
=== main.py
import app.main
=== app/__init__.py
=== app/random.py
def pick(): pass
=== app/main.py
from app import random
random.pik()  #@fail
""",
    main=Says(
        "missing_name",
        root="fail",
        module="app.random",
        never=("in front", "standard library", "standard module"),
    ),
)
P(
    "own_file_meant",
    """
=== main.py
from statistics import orders_per_da  #@fail
=== statistics.py
orders_per_day = 1
""",
    main=Says("missing_name|shadowed", root="fail", says=("orders_per_day\\b",)),
)
P(
    "standard_typo_not_shadowed",
    """
=== main.py
import json
json.dumpz  #@fail
""",
    main=Says("missing_name|", root="fail", never=("in front", "shadow")),
)
P(
    "native_not_elf",
    """
=== main.py
import ext
=== ext/__init__.py
from . import _fast  #@fail
=== ext/_fast.so
this is not a shared object
""",
    main=Says("native_library", root="fail", says=("_fast\\.so",)),
)
P(
    "native_missing_library",
    """
=== main.py
import pathlib, _ctypes, sys
here = pathlib.Path(__file__).parent
raw = pathlib.Path(_ctypes.__file__).read_bytes()
at = raw.index(b"libffi.so")
end = raw.index(b"\\0", at)
(here / "ext/_ctypes.so").write_bytes(raw[:at] + b"libqqi" + raw[at + 6 :])
import ext
=== ext/__init__.py
from . import _ctypes  #@fail
""",
    main=Says("native_library", root="fail", says=("libqqi\\.so",)),
)
P(
    "native_wrong_name",
    """
=== main.py
import pathlib, _bisect, sys
here = pathlib.Path(__file__).parent
(here / "ext/_other.so").write_bytes(pathlib.Path(_bisect.__file__).read_bytes())
import ext
=== ext/__init__.py
from . import _other  #@fail
""",
    main=Says(
        "native_library|body_raised",
        root="fail",
        never=("library .* is missing", "install the library", "Install the library"),
    ),
)
P(
    "native_absent",
    """
=== main.py
import ext
=== ext/__init__.py
from . import _fast  #@fail
""",
    main=Says(
        "missing_name|not_found|circular", root="fail", bound="-", never=("circular import",)
    ),
)
P(
    "blocked_none",
    """
=== main.py
import sys
sys.modules["secret"] = None
import app
=== app.py
import secret  #@fail
=== secret.py
""",
    main=Says("blocked", root="fail", module="secret", never=("not installed",)),
)
P(
    "blocked_by_finder",
    """
=== main.py
import sys
class NoNetwork:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "sockets":
            raise ImportError("network is forbidden here")  #@raise
sys.meta_path.insert(0, NoNetwork)
import app
=== app.py
import sockets  #@fail
=== sockets.py
""",
    main=Says("blocked", root="fail|raise", module="sockets", says=("main\\.py, line 6",)),
)
P(
    "finder_with_bug",
    """
=== main.py
import sys
class Plugins:
    known = {}
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "anything":
            return cls.known[name]  #@fail
sys.meta_path.insert(0, Plugins)
import app
=== app.py
import anything  #@imp
""",
    main=Says(
        "body_raised|blocked|",
        never=("another thread", "circular", "anything's body", "body of anything"),
    ),
)
P(
    "two_paths",
    """
=== main.py
import sys, os
sys.path.append(os.path.join(os.path.dirname(__file__), "shop"))
import app
=== shop/__init__.py
=== shop/errors.py
class NotFound(Exception): pass
=== app.py
from shop.errors import NotFound
import errors
try:
    raise errors.NotFound("x")  #@fail
except NotFound:
    pass
""",
    main=Says("duplicate_module", root="fail", says=("shop\\.errors", "errors\\.py")),
)
P(
    "two_classes_two_files",
    """
=== main.py
import app
=== one.py
class NotFound(Exception): pass
=== two.py
class NotFound(Exception): pass
=== app.py
from one import NotFound
import two
try:
    raise two.NotFound("x")  #@fail
except NotFound:
    pass
""",
    main=Says("body_raised", root="fail", never=("twice", "two names")),
)
P(
    "removes_itself",
    """
=== main.py
import selfdel
=== selfdel.py
import sys
del sys.modules["selfdel"]
""",
    main=Says("body_raised|", never=("another thread", "failed in", "circular")),
)
P(
    "removes_its_parent",
    """
=== main.py
import pkg.sub
=== pkg/__init__.py
=== pkg/sub.py
import sys
del sys.modules["pkg"]
import pkg.other
=== pkg/other.py
import sys
del sys.modules["pkg"]
""",
    judged=False,
)
P(
    "nothing_to_do_with_imports",
    """
=== main.py
import json
def f(kind):
    if kind == "value": raise ValueError("x")
    if kind == "key": return {}["json"]
    if kind == "attribute": return object().json
    if kind == "name": return undefined_name
    if kind == "type": return len(3)
    if kind == "hand": raise ImportError("not today")
for kind in ("value", "key", "attribute", "name", "type", "hand"):
    try:
        f(kind)
    except Exception as exc:
        judge(kind, exc)
""",
    value=Says(""),
    key=Says(""),
    attribute=Says(""),
    name=Says(""),
    type=Says(""),
    hand=Says("|body_raised"),
)
P(
    "after_a_caught_failure",
    """
=== main.py
try:
    import speed_x
except ImportError:
    pass
for code in ("{}['speed_x']", "object().speed_x", "int('speed_x')", "open('/nonexistent/speed_x')"):
    try:
        eval(code)
    except Exception as exc:
        judge(type(exc).__name__, exc)
""",
    KeyError=Says(""),
    AttributeError=Says(""),
    ValueError=Says(""),
    FileNotFoundError=Says(""),
)
P(
    "name_of_another_module",
    """
=== main.py
import one
import two
try:
    two.work()
except NameError as exc:
    judge("name", exc)
=== one.py
try:
    import fast_x
except ImportError:
    pass
=== two.py
def work():
    return fast_x.run()
""",
    name=Says("|missing_name", never=("swallow", "caught")),
)
P(
    "suppressed_attribute_of_none",
    """
=== main.py
try:
    import numpy_x
except ImportError:
    numpy_x = None
try:
    numpy_x.array([1])
except AttributeError as exc:
    judge("none", exc)
""",
    none=Says("swallowed_earlier|", never=("circular", "half")),
)
P(
    "all_is_well",
    """
=== main.py
import json, email.parser, concurrent.futures, importlib
importlib.reload(json)
try:
    import nothing_x
except ImportError as exc:
    pass
""",
)
P(
    "hasattr_probe",
    """
=== main.py
import pkg
assert not hasattr(pkg, "b")
from pkg import b
=== pkg/__init__.py
def __getattr__(name):
    raise AttributeError(name)
=== pkg/b.py
try:
    from pkg import c
except ImportError:
    c = None
""",
)
