"""The fixed set of small programs of docs/observed.md: what each does, and the modules it is about.

A program is a ``main.py`` and the files beside it. ``TARGETS`` are the modules whose seams are
watched. Threads are ordered by ``gates`` (tests/causes/support), never by time; where releases
differ in whether a thread waits at all, ``settled(name, module)`` returns once it waits or is over.
"""

from dataclasses import dataclass, field

SETTLED = """
import threading, time, gates
def settled(name, module):
    end = time.monotonic() + gates.LIMIT_S
    while time.monotonic() < end:
        thread = [t for t in threading.enumerate() if t.name == name]
        if not thread or gates._waits_for(thread[0].ident, module):
            return
        time.sleep(0.0005)  # a poll: importlib offers nothing to wait on
    raise gates.GateTimeout(f"{name} neither waits for {module} nor ended")
"""


@dataclass(frozen=True)
class Program:
    """``since`` is the first version whose syntax it needs; ``name`` and ``says`` go into the page."""

    name: str
    says: str
    targets: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    since: tuple[int, int] = (3, 11)


def _threads(first: str, second: str) -> str:
    """Two threads of the names that the page shows."""
    return (
        "import gates\n"
        f"def first():\n    {first}\n"
        f"def second():\n    gates.wait('second may start')\n"
        f"    gates.open('second starts')\n    {second}\n"
        "gates.run(first, second)\n"
    )


_PICK_EXTENSION = """
import sys
from importlib.machinery import PathFinder, ExtensionFileLoader
for name in ("_queue", "_lzma", "_bz2", "_multiprocessing", "_ctypes", "_sqlite3", "_curses"):
    spec = PathFinder.find_spec(name)
    if spec and isinstance(spec.loader, ExtensionFileLoader) and name not in sys.modules:
        break
"""

PROGRAMS = (
    Program(
        "plain load",
        "`import m`, a source file, then `import m` again: the second leaves no mark.",
        ("m",),
        {"main.py": "import m\nimport m\n", "m.py": "x = 1\n"},
    ),
    Program(
        "import_module",
        "`importlib.import_module('m')`.",
        ("m",),
        {"main.py": "import importlib\nimportlib.import_module('m')\n", "m.py": "x = 1\n"},
    ),
    Program(
        "request, own half-built module",
        "`a` imports `b`, whose body imports `a`.",
        ("a",),
        {"main.py": "import a\n", "a.py": "import b\n", "b.py": "import a\n"},
    ),
    Program(
        "request, own half-built module by import_module",
        "`a` imports `b`, whose body calls `import_module('a')`.",
        ("a",),
        {
            "main.py": "import a\n",
            "a.py": "import b\n",
            "b.py": "import importlib\nimportlib.import_module('a')\n",
        },
    ),
    Program(
        "request, another thread's half-built module",
        "While `first` runs the body of `a`, `second` imports it and waits.",
        ("a",),
        {
            "main.py": _threads("import a", "import a"),
            "a.py": "import gates\ngates.open('second may start')\n"
            "gates.until_blocked('second', 'a')\n",
        },
    ),
    Program(
        "request, another thread's module that then fails",
        "As before, but the body of `a` raises once `second` waits.",
        ("a",),
        {
            "main.py": _threads("import a", "import a"),
            "a.py": "import gates, threading\ngates.open('second may start')\n"
            "if threading.current_thread().name == 'first':\n"
            "    gates.until_blocked('second', 'a')\nraise ValueError('a')\n",
        },
    ),
    Program(
        "deadlock over two modules",
        "`first` builds `a` and waits for `b`; `second` builds `b` and asks for `a`.",
        ("a", "b"),
        {
            "main.py": _threads("import a", "import b"),
            "a.py": "import gates\ngates.open('second may start')\ngates.wait('b runs')\nimport b\n",
            "b.py": "import gates\ngates.open('b runs')\n"
            "gates.until_blocked('first', 'b')\nimport a\n",
        },
    ),
    Program(
        "a submodule while its package is half-built",
        "While `first` runs the body of `p`, `second` imports `p.c`; then `p` imports `p.c` itself.",
        ("p", "p.c"),
        {
            "main.py": SETTLED + _threads("import p", "import p.c"),
            "p/__init__.py": "import gates, threading, __main__\n"
            "if threading.current_thread().name == 'first':\n"
            "    gates.open('second may start')\n    gates.wait('second starts')\n"
            "    __main__.settled('second', 'p')\nimport p.c\n",
            "p/c.py": "x = 1\n",
        },
    ),
    Program(
        "implied parent",
        "`import p.c`, nothing of it loaded before.",
        ("p", "p.c"),
        {"main.py": "import p.c\n", "p/__init__.py": "", "p/c.py": ""},
    ),
    Program(
        "grandchild of a half-built package",
        "The body of `p` imports `other`, which imports `p.q.c`.",
        ("p", "p.q", "p.q.c"),
        {
            "main.py": "import p\n",
            "p/__init__.py": "import other\n",
            "p/q/__init__.py": "",
            "p/q/c.py": "",
            "other.py": "from p.q.c import __name__\n",
        },
    ),
    Program(
        "from list",
        "`from p import c` where `c` is a submodule, and `from p import absent`.",
        ("p", "p.c", "p.absent"),
        {
            "main.py": "from p import c\ntry:\n    from p import absent\nexcept ImportError: pass\n",
            "p/__init__.py": "",
            "p/c.py": "",
        },
    ),
    Program(
        "reload",
        "`importlib.reload(m)`.",
        ("m",),
        {"main.py": "import importlib, m\nimportlib.reload(m)\n", "m.py": "x = 1\n"},
    ),
    Program(
        "LazyLoader",
        "`m` is made by `LazyLoader`, then one of its attributes is touched.",
        ("m",),
        {
            "main.py": "import sys\nfrom importlib import util\nspec = util.find_spec('m')\n"
            "spec.loader = util.LazyLoader(spec.loader)\n"
            "m = sys.modules['m'] = util.module_from_spec(spec)\n"
            "spec.loader.exec_module(m)\nm.x\n",
            "m.py": "x = 1\n",
        },
    ),
    Program(
        "exec_module by hand",
        "`module_from_spec(spec)`, then `spec.loader.exec_module(module)`.",
        ("m",),
        {
            "main.py": "from importlib import util\nspec = util.find_spec('m')\n"
            "m = util.module_from_spec(spec)\nspec.loader.exec_module(m)\n",
            "m.py": "x = 1\n",
        },
    ),
    Program(
        "extension module",
        "A shared library of the standard library.",
        ("<extension>",),
        {"main.py": _PICK_EXTENSION + "TARGET = name\n__import__(name)\n"},
    ),
    Program(
        "built-in module",
        "`import _symtable`.",
        ("_symtable",),
        {"main.py": "import _symtable\n"},
    ),
    Program(
        "frozen module",
        "`import __hello__`.",
        ("__hello__",),
        {"main.py": "import __hello__\n"},
    ),
    Program(
        "namespace package",
        "`import n.m`, where `n` has no `__init__.py`.",
        ("n", "n.m"),
        {"main.py": "import n.m\n", "n/m.py": ""},
    ),
    Program(
        "zip",
        "`import m`, from a zip file on `sys.path`.",
        ("m",),
        {"main.py": "import sys\nsys.path.insert(0, sys.path[0] + '/z.zip')\nimport m\n"},
    ),
    Program(
        "failing body",
        "`import m`, whose body imports `n`, whose body raises; caught in `main`.",
        ("m", "n"),
        {
            "main.py": "try:\n    import m\nexcept ValueError: pass\n",
            "m.py": "import n\n",
            "n.py": "raise ValueError('n')\n",
        },
    ),
    Program(
        "failing find",
        "`import absent`, caught.",
        ("absent",),
        {"main.py": "try:\n    import absent\nexcept ImportError: pass\n"},
    ),
    Program(
        "None in sys.modules",
        "`import absent` where `sys.modules['absent']` is None, caught.",
        ("absent",),
        {
            "main.py": "import sys\nsys.modules['absent'] = None\n"
            "try:\n    import absent\nexcept ImportError: pass\n"
        },
    ),
    Program(
        "lazy import",
        "PEP 810: `lazy import m`, then `m.x`.",
        ("m",),
        {"main.py": "lazy import m\nm.x\n", "m.py": "x = 1\n"},
        since=(3, 15),
    ),
)
