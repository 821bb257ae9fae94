"""Modules that are not there, bodies that raise, failures that were caught, kept, chained or raised by hand."""

from __future__ import annotations

from ..model import Says, Table

TABLE = Table()
P = TABLE.add
RACE_WORDS = ("another thread", r"\brace\b")

P(
    "near_miss",
    """
=== main.py
import legder  #@fail
=== ledger.py
""",
    main=Says(
        "not_found", root="fail", module="legder", says=("ledger",), never=("swallow",), note=None
    ),
)
P(
    "no_such_submodule",
    """
=== main.py
import pkg.nope  #@fail
=== pkg/__init__.py
""",
    main=Says("not_found", root="fail", module="pkg.nope"),
)
P(
    "not_a_package",
    """
=== main.py
import ledger.sub  #@fail
=== ledger.py
""",
    main=Says("not_found", root="fail", says=("ledger",)),
)
P(
    "relative_in_script",
    """
=== main.py
from .models import User  #@fail
=== models.py
class User: pass
""",
    main=Says(
        "body_raised|not_found|", root="fail?", never=("No module named", "looked", "circular")
    ),
)
P(
    "installed_apps",
    """
=== main.py
from importlib import import_module
APPS = ["shop", "shopp"]
for app in APPS:
    import_module(app)  #@fail
=== shop.py
""",
    main=Says("not_found", root="fail", module="shopp", says=("shop",), last="fail"),
)
P(
    "relative_import_module",
    """
=== main.py
from importlib import import_module
import_module(".x")  #@fail
""",
    main=Says("body_raised|", never=("circular", "not installed")),
)
P(
    "namespace_clash",
    """
=== main.py
import sys, os
here = os.path.dirname(__file__)
sys.path[0:0] = [here + "/one", here + "/two"]
import acmecloud.storage  #@fail
=== one/acmecloud/__init__.py
=== two/acmecloud/storage.py
""",
    main=Says(
        "not_found|shadowed", root="fail", module="acmecloud.storage|acmecloud", says=("one",)
    ),
)
P(
    "entry_point",
    """
=== main.py
from importlib.metadata import EntryPoint
EntryPoint("x", "plug:create", "g").load()  #@fail
=== plug.py
def creat(): pass
""",
    main=Says("missing_name", bound="-", module="plug", says=("creat\\b",)),
)
P(
    "walk_packages",
    """
=== main.py
import pkgutil, plugins
for info in pkgutil.walk_packages(plugins.__path__, "plugins."):
    pass
=== plugins/__init__.py
=== plugins/good/__init__.py
=== plugins/bad/__init__.py
limit = int("many")  #@fail
""",
    main=Says("body_raised", root="fail", module="plugins.bad", never=RACE_WORDS),
)
P(
    "plugin_by_spec",
    """
=== main.py
import importlib.util, os
spec = importlib.util.spec_from_file_location("conftest", os.path.join(os.path.dirname(__file__), "t/conftest.py"))
mod = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mod)
=== t/conftest.py
from helpers import fixtur  #@fail
=== helpers.py
fixture = 1
""",
    main=Says("missing_name", root="fail", module="helpers", says=("fixture\\b",), last="fail"),
)
P(
    "runpy_module",
    """
=== main.py
import runpy
runpy.run_module("pkg.cli", run_name="__main__")
=== pkg/__init__.py
=== pkg/cli.py
import libnope_x  #@fail
""",
    main=Says("not_found", root="fail", last="fail", module="libnope_x"),
)
P(
    "exec_code",
    """
=== main.py
import plug
=== plug.py
exec(compile("x = 1\\nimport libnope_x", "<plugin>", "exec"))  #@run
""",
    main=Says("not_found", module="libnope_x"),
)
P(
    "lazy_loader",
    """
=== main.py
import importlib.util, sys
spec = importlib.util.find_spec("slow")
spec.loader = importlib.util.LazyLoader(spec.loader)
mod = importlib.util.module_from_spec(spec)
sys.modules["slow"] = mod
spec.loader.exec_module(mod)
mod.value  #@touch
=== slow.py
import libnope_x  #@fail
value = 1
""",
    main=Says("not_found", root="fail", last="fail"),
)
P(
    "async_at_import",
    """
=== main.py
import boot
=== boot.py
import asyncio
async def load():
    await asyncio.sleep(0)
    import libnope_x  #@fail
asyncio.run(load())
""",
    main=Says("not_found", root="fail", last="fail", never=RACE_WORDS),
)
P(
    "generator_at_import",
    """
=== main.py
import boot
=== boot.py
def parts():
    yield 1
    from cart import totl  #@fail
    yield totl
ALL = list(parts())
=== cart.py
total = 1
""",
    main=Says("missing_name", root="fail", last="fail"),
)
# ---- bodies
P(
    "metaclass_and_dataclass",
    """
=== main.py
try:
    import meta
except TypeError as exc:
    judge("meta", exc)
try:
    import data
except ValueError as exc:
    judge("data", exc)
=== meta.py
class Meta(type):
    def __new__(m, name, bases, ns):
        raise TypeError(f"{name} must define run")  #@m
class Job(metaclass=Meta): pass
=== data.py
import dataclasses
@dataclasses.dataclass
class Cart:
    items: list = []
""",
    meta=Says("body_raised", root="m", module="meta"),
    data=Says("body_raised", module="data"),
)
P(
    "environment_key",
    """
=== main.py
import settings
=== settings.py
import os
URL = os.environ["NO_SUCH_VARIABLE_X"]  #@fail
""",
    main=Says("body_raised", module="settings", never=RACE_WORDS),
)
P(
    "key_named_as_module",
    """
=== main.py
import svc
=== svc/__init__.py
from . import core
=== svc/core.py
REGISTRY = {}
REGISTRY["svc"]  #@fail
""",
    main=Says("body_raised", root="fail", module="svc.core", never=RACE_WORDS),
)
P(
    "own_attribute",
    """
=== main.py
import svc
=== svc.py
import threading
class Pool: pass
Pool().threading  #@fail
""",
    main=Says("body_raised", root="fail", bound="-", never=RACE_WORDS),
)
P(
    "shadowed_by_attribute",
    """
=== main.py
import svc
=== svc/__init__.py
from .config import config
from . import load
=== svc/config.py
def config(): pass
VALUE = 1
=== svc/load.py
from svc import config
x = config.VALUE  #@fail
""",
    main=Says("body_raised|missing_name", root="fail", never=("half-built", "partially")),
)
P(
    "plain_name_error",
    """
=== main.py
import svc
=== svc.py
import json
x = jsn.dumps(1)  #@fail
""",
    main=Says("body_raised|missing_name", root="fail", never=("circular", "swallow")),
)
P(
    "syntax_error",
    """
=== main.py
import svc  #@imp
=== svc.py
x = 1
def f(:  #@fail
    pass
""",
    main=Says(
        "body_raised",
        module="svc",
        root="fail|imp",
        never=("its own code raised", "code raised it", "body raised"),
    ),
)
P(
    "exit_in_body",
    """
=== main.py
try:
    import svc
except SystemExit as exc:
    judge("exit", exc)
=== svc.py
import sys
sys.exit("no licence")  #@fail
""",
    exit=Says("body_raised|", never=("circular",)),
)
P(
    "warning_as_error",
    """
=== main.py
import warnings
warnings.simplefilter("error")
import svc
=== svc.py
import warnings
warnings.warn("old", DeprecationWarning)  #@fail
""",
    main=Says("body_raised", root="fail"),
)
P(
    "del_at_import",
    """
=== main.py
import sys
sys.unraisablehook = lambda u: judge("unraisable", u.exc_value)
import svc
=== svc.py
class R:
    def __del__(self):
        from svc_missing_x import y  #@fail
R()
x = 1
""",
    unraisable=Says("not_found", root="fail"),
)
P(
    "timeout_signal",
    """
=== main.py
import svc
=== svc.py
import signal
class Timeout(Exception): pass
def handler(*_):
    raise Timeout("too slow")  #@fail
signal.signal(signal.SIGUSR1, handler)
signal.raise_signal(signal.SIGUSR1)
""",
    main=Says("body_raised", root="fail", module="svc"),
)
# ---- raised by hand, chained, kept
P(
    "by_hand",
    """
=== main.py
import svc
=== svc.py
raise ImportError("svc needs libfoo >= 2")  #@fail
""",
    main=Says(
        "body_raised",
        root="fail",
        module="svc",
        never=("no such module", "looked in", "is missing"),
    ),
)
P(
    "by_hand_looks_like_missing_name",
    """
=== main.py
import svc
=== svc.py
import os
if hasattr(os, "path"):
    raise ImportError("cannot import name 'path' from 'os' (fake)")  #@fail
""",
    main=Says("body_raised|", root="fail", bound="-", never=("has no", "never bind", "complete")),
)
P(
    "by_hand_looks_like_not_found",
    """
=== main.py
import svc
=== svc.py
raise ModuleNotFoundError("No module named 'json'")  #@fail
""",
    main=Says("body_raised", root="fail", never=("no such module", "looked", "There is no")),
)
P(
    "by_hand_looks_native",
    """
=== main.py
import svc
=== svc.py
raise ImportError("libfoo.so.1: cannot open shared object file")  #@fail
""",
    main=Says("body_raised|native_library", root="fail", never=("extension module .svc",)),
)
P(
    "friendly_message_in_handler",
    """
=== main.py
import svc
=== svc.py
try:
    import fastlib  #@inner
except ImportError:
    raise ImportError("pip install fastlib")  #@outer
=== fastlib.py
import fastlib_dep_x  #@fail
""",
    main=Says("dependency_failed", root="fail", module="svc", says=("fastlib_dep_x",)),
)
P(
    "chained_twice",
    """
=== main.py
import svc
=== svc.py
try:
    import driver  #@one
except RuntimeError as exc:
    raise SystemError("no database") from exc  #@outer
=== driver.py
try:
    import pgdep_x  #@fail
except ImportError as exc:
    raise RuntimeError("the driver cannot start") from exc
""",
    main=Says("dependency_failed", root="fail", module="svc"),
)
P(
    "from_none",
    """
=== main.py
import svc
=== svc.py
try:
    import fastdep_x  #@fail
except ImportError:
    raise ImportError("pip install fastdep") from None  #@outer
""",
    main=Says("dependency_failed|swallowed_earlier|body_raised", root="fail|outer"),
)
P(
    "unrelated_in_handler",
    """
=== main.py
import svc
=== svc.py
try:
    import speedup_x
except ImportError:
    LEVEL = int("none")  #@fail
""",
    main=Says("body_raised|dependency_failed", never=("raised from", "was raised from it")),
)
P(
    "kept_and_raised_later",
    """
=== main.py
import gate
import user
=== gate.py
try:
    import deepdep_x  #@fail
except ImportError as exc:
    error = exc
=== user.py
import gate
raise gate.error  #@again
""",
    main=Says("not_found|swallowed_earlier", root="fail", module="deepdep_x"),
)
P(
    "raised_again_after_other_imports",
    """
=== main.py
import svc
=== svc.py
try:
    import deepdep_x  #@fail
except ImportError:
    import fallback
    raise
=== fallback.py
try:
    import other_x
except ImportError:
    pass
""",
    main=Says("not_found", root="fail", module="deepdep_x", never=("other_x",)),
)
P(
    "group",
    """
=== main.py
import svc
=== svc.py
errors = []
for name in ("one_x", "cart"):
    try:
        m = __import__(name, fromlist=["totl"])  #@imp
        m.totl  #@attr
    except (ImportError, AttributeError) as exc:
        errors.append(exc)
raise ExceptionGroup("plugins", errors)  #@fail
=== cart.py
total = 1
""",
    main=Says(
        "body_raised|dependency_failed|swallowed_earlier", root="fail|imp|attr", never=("circular",)
    ),
)
P(
    "pickled",
    """
=== main.py
import pickle
try:
    import svc
except ImportError as exc:
    other = pickle.loads(pickle.dumps(exc))
try:
    raise other
except ImportError as exc:
    judge("pickled", exc)
=== svc.py
from cart import totl
=== cart.py
total = 1
""",
    pickled=Says("missing_name|", bound="-", never=("circular",)),
)
# ---- caught earlier
P(
    "installed_but_broken",
    """
=== main.py
import app
=== app.py
try:
    import fastlib
except ImportError:  #@caught
    fastlib = None
if fastlib is None:
    raise RuntimeError("fastlib is not installed")  #@fail
=== fastlib.py
import fastlib_dep_x  #@inner
""",
    main=Says("swallowed_earlier|body_raised", root="inner", says=("fastlib_dep_x",)),
)
P(
    "caught_but_unrelated",
    """
=== main.py
import app
=== app.py
try:
    import ujson_x
except ImportError:
    ujson_x = None
raise ValueError("DEBUG must be 0 or 1")  #@fail
""",
    main=Says("body_raised", root="fail", never=("ujson_x", "swallow")),
)
P(
    "caught_but_other_name",
    """
=== main.py
import app
=== app.py
try:
    import ujson_x
except ImportError:
    pass
x = jsn  #@fail
""",
    main=Says("body_raised|missing_name", root="fail", never=("ujson_x", "swallow")),
)
P(
    "caught_in_compat",
    """
=== main.py
import app
=== app.py
from compat import dumps  #@fail
=== compat.py
try:
    from fastlib import dumps
except ImportError:  #@caught
    pass
=== fastlib.py
import fastlib_dep_x  #@inner
def dumps(): pass
""",
    main=Says(
        "swallowed_earlier", root="inner", caught="caught", module="compat", says=("fastlib_dep_x",)
    ),
)
P(
    "caught_but_never_bound",
    """
=== main.py
import app
=== app.py
from compat import loads  #@fail
=== compat.py
try:
    import fastlib_x
except ImportError:
    fastlib_x = None
dumps = 1
""",
    main=Says("missing_name", root="fail", bound="-", never=("fastlib_x", "swallow", "caught")),
)
P(
    "caught_by_suppress",
    """
=== main.py
import app
=== app.py
from compat import dumps  #@fail
=== compat.py
import contextlib
with contextlib.suppress(ImportError):  #@caught
    from fastlib_x import dumps  #@inner
""",
    main=Says("swallowed_earlier", root="inner", caught="caught|inner"),
)
P(
    "caught_in_function",
    """
=== main.py
import app
=== app.py
from compat import dumps  #@fail
=== compat.py
def optional(name):
    try:
        return __import__(name)  #@inner
    except ImportError:
        return None
mod = optional("fastlib_x")
if mod is not None:
    dumps = mod.dumps  #@bind
""",
    main=Says("missing_name|swallowed_earlier", root="fail|inner", bound="bind"),
)
P(
    "caught_at_run_time",
    """
=== main.py
try:
    import fastlib_y  #@imp
except ImportError:
    pass
def work():
    fastlib_y.run()  #@fail
work()
=== fastlib_y.py
import fastlib_dep_x  #@inner
""",
    main=Says("swallowed_earlier|", root="inner", says=("fastlib_dep_x",)),
)
P(
    "other_modules_name",
    """
=== main.py
import one
import two
=== one.py
try:
    import yaml_x
except ImportError:
    yaml_x = None
=== two.py
from settings import yaml_x  #@fail
=== settings.py
path = "a.yaml"
""",
    main=Says(
        "missing_name", root="fail", bound="-", never=("swallow", "caught", "earlier import")
    ),
)
P(
    "second_try_fails_differently",
    """
=== main.py
import registry
try:
    import models
except ImportError:
    pass
import models
=== registry.py
seen = []
def add(name):
    if name in seen:
        raise ValueError(name + " is already defined")
    seen.append(name)
=== models.py
import registry
registry.add("user")  #@again
import modeldep_x  #@first
""",
    main=Says("body_raised|swallowed_earlier", never=("circular", "another thread")),
)
P(
    "guarded_else",
    """
=== main.py
from compat import tool  #@fail
=== compat.py
try:
    import lib_x  #@inner
except ImportError:  #@caught
    HAVE = False
else:
    tool = lib_x.tool  #@bind
""",
    main=Says("swallowed_earlier|missing_name", root="inner|fail", bound="bind?"),
)
P(
    "from_package_broken_submodule",
    """
=== main.py
from pkg import sub  #@imp
=== pkg/__init__.py
=== pkg/sub.py
import subdep_x  #@fail
""",
    main=Says("not_found", root="fail", module="subdep_x", last="fail"),
)
