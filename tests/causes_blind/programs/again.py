"""A second round: exceptions that travel, fallbacks that fail, frameworks that wrap, names that only look bound."""

from __future__ import annotations

from ..model import Says, Table

TABLE = Table()
P = TABLE.add

P(
    "fallback_fails_too",
    """
=== main.py
import svc
=== svc.py
try:
    import speed_x
except ImportError:
    import slow
=== slow.py
raise ValueError("no backend")  #@fail
""",
    main=Says(
        "body_raised", root="fail", module="slow", never=("raised because the import of speed_x",)
    ),
)
P(
    "helper_raises_for_the_handler",
    """
=== main.py
import helpers
import svc
=== helpers.py
def fail(name):
    raise RuntimeError(name + " is needed")  #@raise
=== svc.py
import helpers
try:
    import speed_x  #@fail
except ImportError:
    helpers.fail("speed")
""",
    main=Says("dependency_failed|body_raised", root="fail|raise", says=("speed_x",)),
)
P(
    "comprehension_binds_nothing",
    """
=== main.py
import a
=== a.py
import b
xs = [late for late in range(3)]
f = lambda: (late := 3)
ys = {late: 1 for late in (1, 2)}
=== b.py
from a import late  #@fail
""",
    main=Says("missing_name|circular", root="fail", bound="-", never=("bound only at",)),
)
P(
    "walrus_in_comprehension",
    """
=== main.py
import a
=== a.py
import b
xs = [late := one for one in range(3)]  #@bind
=== b.py
from a import late  #@fail
""",
    main=Says("circular", root="fail", bound="bind"),
)
P(
    "kept_value_error",
    """
=== main.py
try:
    import gate
except ValueError as exc:
    kept = exc
import types, sys
sys.modules["keeper"] = types.ModuleType("keeper")
sys.modules["keeper"].error = kept
import user
=== gate.py
LIMIT = int("many")  #@fail
=== user.py
import keeper
raise keeper.error
""",
    main=Says("body_raised", root="fail", module="gate"),
)
P(
    "through_a_queue",
    """
=== main.py
import threading, queue
box = queue.Queue()
def work():
    try:
        from cart import totl  #@fail
    except ImportError as exc:
        box.put(exc)
import cart
t = threading.Thread(target=work, name="work"); t.start(); t.join(20)
judge("queue", box.get())
=== cart.py
total = 1
""",
    queue=Says("missing_name", root="fail", thread="work?"),
)
P(
    "retries_differ",
    """
=== main.py
import pathlib
for turn in range(3):
    try:
        import svc
    except Exception as exc:
        judge(f"turn{turn}", exc)
    (pathlib.Path(__file__).parent / "later.py").write_text("value = 1\\n" if turn == 0 else "valu = int('x')\\n")
    import importlib, sys
    importlib.invalidate_caches()
    sys.modules.pop("later", None)
    sys.dont_write_bytecode = True
=== svc.py
from later import valeu  #@fail
""",
    turn0=Says("not_found", root="fail", module="later"),
    turn1=Says("missing_name", root="fail", says=("value\\b",)),
    turn2=Says("body_raised", module="later"),
)
P(
    "condition_of_another_name",
    """
=== main.py
import app
=== app.py
import os
try:
    import yaml_x
except ImportError:
    yaml_x = None
if not os.environ.get("NO_SUCH_URL_X"):
    raise RuntimeError("NO_SUCH_URL_X is not set")  #@fail
""",
    main=Says("body_raised", root="fail", never=("yaml_x", "swallow")),
)
P(
    "all_names_too_much",
    """
=== main.py
import impl
=== base.py
__all__ = ["Nope"]
Nop = 1
=== impl.py
from base import *  #@fail
""",
    main=Says("missing_name", root="fail", module="base", bound="-"),
)
P(
    "caught_in_a_thread",
    """
=== main.py
import threading
def warm():
    import compat
t = threading.Thread(target=warm, name="warm"); t.start(); t.join(20)
from compat import dumps  #@fail
=== compat.py
try:
    from fastlib_x import dumps  #@inner
except ImportError:  #@caught
    pass
""",
    main=Says("swallowed_earlier", root="inner", caught="caught", thread="warm"),
)
P(
    "file_and_folder",
    """
=== main.py
from foo import bar  #@fail
=== foo.py
bar = 1
=== foo/__init__.py
baz = 1
""",
    main=Says("missing_name|shadowed", root="fail", bound="-", never=("circular",)),
)
P(
    "forward_reference",
    """
=== main.py
import models
=== models.py
import typing
if typing.TYPE_CHECKING:
    from users import User
class Order:
    by: "User"
typing.get_type_hints(Order)
=== users.py
class User: pass
""",
    main=Says("body_raised|missing_name", never=("circular", "swallow", "None")),
)
P(
    "star_of_a_caught_module",
    """
=== main.py
from pkg import thing  #@fail
=== pkg/__init__.py
try:
    from .impl import *
except ImportError:  #@caught
    pass
=== pkg/impl.py
import impldep_x  #@inner
thing = 1
""",
    main=Says("swallowed_earlier|missing_name", root="inner|fail", never=("is gone", "circular")),
)
P(
    "set_name_wraps",
    """
=== main.py
import fields
=== fields.py
import forms  #@out
DEFAULT = 1  #@bind
=== forms.py
import fields
class Field:
    def __set_name__(self, owner, name):
        self.default = fields.DEFAULT  #@fail
class Form:
    name = Field()
""",
    main=Says("circular|dependency_failed|body_raised", root=None, never=("swallow",)),
)
P(
    "cycle_wrapped",
    """
=== main.py
import a
=== a.py
import b
late = 1  #@bind
=== b.py
try:
    from a import late  #@fail
except ImportError as exc:
    raise RuntimeError("b cannot be set up") from exc  #@outer
""",
    main=Says("dependency_failed|circular", root="fail", bound="bind", cycle=("a", "b")),
)
P(
    "import_string",
    """
=== main.py
from utils import import_string
import_string("views.hom")  #@use
=== utils.py
from importlib import import_module
def import_string(path):
    module, name = path.rsplit(".", 1)
    found = import_module(module)
    try:
        return getattr(found, name)
    except AttributeError as err:
        raise ImportError(f'Module "{module}" does not define a "{name}" attribute/class') from err
=== views.py
home = 1
""",
    main=Says("dependency_failed|missing_name", says=("views", "hom"), never=("circular",)),
)
P(
    "parent_is_a_module",
    """
=== main.py
import a.b.c  #@fail
=== a/__init__.py
=== a/b.py
""",
    main=Says("not_found", root="fail", module="a.b.c", says=("not a package",)),
)
P(
    "exception_class_with_getattr",
    """
=== main.py
import svc
=== svc.py
class Odd(Exception):
    def __getattribute__(self, name):
        raise SystemExit("nobody may look")
    def __str__(self):
        raise SystemExit("nobody may look")
raise Odd("x")  #@fail
""",
    main=Says("body_raised", root="fail"),
)
