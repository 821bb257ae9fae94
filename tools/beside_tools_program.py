"""The program that runs beside each tool, and what a complete trace of it holds.

`write(folder)` makes the files; `main.py` starts the tool, then importtrace, then imports `scenario`.
`incomplete(records)` says in one line each what a trace of it lacks or has wrong.
"""

from pathlib import Path
from typing import Any

MAIN = "{tool}\n{install}\nimport scenario\n"

SCENARIO = """
import sys
import threading
import time

import shop.orders
from shop import items, prices
import market.stall

try:
    import nowhere_at_all
except ImportError as error:
    print(type(error).__name__, error)
try:
    import loop_a
except ImportError as error:
    print(type(error).__name__, error.name)

failed = []


def slowly(name):
    try:
        __import__(name)
    except BaseException as error:
        failed.append(repr(error))


# each of these bodies lets the others run while it is being executed
threads = [threading.Thread(target=slowly, args=(f"shop.slow_{n}",)) for n in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(30)
print(failed, [thread.is_alive() for thread in threads])

for name in ("shop", "shop.orders", "shop.items", "shop.prices", "market", "market.stall",
             "shop.slow_0", "shop.inner_2"):
    module = sys.modules[name]
    spec = module.__spec__
    print(name, type(spec.loader).__module__, type(spec.loader).__qualname__,
          module.__loader__ is spec.loader, str(module.__file__).rpartition("/")[2],
          sorted(n for n in vars(module) if n[0] != "_"))
print(shop.orders.total(2), items.describe(1), prices.rate)
"""

FILES = {
    "scenario.py": SCENARIO.lstrip(),
    "shop/__init__.py": "name = 'shop'\n",
    "shop/orders.py": "from shop import items\nfrom .prices import rate\n\n\n"
    "def total(count: int) -> float:\n    return count * rate\n",
    "shop/items.py": "import json\n\n\ndef describe(number: int) -> str:\n    return json.dumps(number)\n",
    "shop/prices.py": "rate = 1.5\n",
    "market/stall.py": "from shop import name\n",
    "loop_a.py": "import loop_b\n\nx = 1\n",
    "loop_b.py": "from loop_a import x\n",
}
for _n in range(3):
    FILES[f"shop/slow_{_n}.py"] = (
        f"import time\ntime.sleep(0.02)\nimport shop.inner_{_n}\ntime.sleep(0.01)\nv = {_n}\n"
    )
    FILES[f"shop/inner_{_n}.py"] = "import time\ntime.sleep(0.02)\n"

# module: (outcome, the module whose load it belongs to, file of the statement, its text)
EXPECTED = {
    "scenario": ("ok", None, "main.py", "import scenario"),
    # an implied parent belongs to the load of the child that implied it (3.15: to the importing one)
    "shop": ("ok", "shop.orders or scenario", "scenario.py", "import shop.orders"),
    "shop.orders": ("ok", "scenario", "scenario.py", "import shop.orders"),
    "shop.items": ("ok", "shop.orders", "orders.py", "from shop import items"),
    "shop.prices": ("ok", "shop.orders", "orders.py", "from .prices import rate"),
    "market": ("ok", "market.stall or scenario", "scenario.py", "import market.stall"),
    "market.stall": ("ok", "scenario", "scenario.py", "import market.stall"),
    "nowhere_at_all": ("failed", "scenario", "scenario.py", "import nowhere_at_all"),
    "loop_a": ("failed", "scenario", "scenario.py", "import loop_a"),
    "loop_b": ("failed", "loop_a", "loop_a.py", "import loop_b"),
    **{f"shop.inner_{n}": ("ok", f"shop.slow_{n}", f"slow_{n}.py", f"import shop.inner_{n}")
       for n in range(3)},
    # a thread's first import: its parent is the load that started the thread, where that was seen
    **{f"shop.slow_{n}": ("ok", "scenario or none", "scenario.py", "__import__(name)") for n in range(3)},
}  # fmt: skip


def write(folder: Path, tool: str = "pass", install: str = "pass") -> None:
    """The files of the program, with one line for the tool and one for importtrace."""
    for name, text in {**FILES, "main.py": MAIN.format(tool=tool, install=install)}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def incomplete(
    records: list[dict[str, Any]], *, main: str = "main.py", mode: str = "auto"
) -> list[str]:
    """What is wrong with a trace of the program; empty: nothing."""
    found = []
    by_id = {record["id"]: record for record in records}
    for name, (outcome, parent, file, text) in EXPECTED.items():
        if mode == "finder" and name == "nowhere_at_all":
            continue  # a search that finds nothing leaves no mark there
        loads = [r for r in records if r["kind"] == "load" and r["module"] == name]
        if len(loads) != 1:
            found.append(f"{len(loads)} loads of {name}")
            continue
        (load,) = loads
        if load.get("outcome") != outcome:
            found.append(f"{name} is {load.get('outcome')}, not {outcome}")
        above = by_id.get(load.get("parent"), {}).get("module")
        if parent is not None and str(above or "none") not in parent.split(" or "):
            found.append(f"{name} belongs to {above}, not to {parent}")
        importer = load.get("importer", {})
        shown = str(importer.get("file")).replace("\\", "/").rpartition("/")[2]
        wanted = main if file == "main.py" else file
        if shown != wanted:
            found.append(f"{name} is imported by {importer.get('file')}, not by {wanted}")
        elif name != "scenario":
            source = FILES[next(key for key in FILES if key.rpartition("/")[2] == file)]
            line = source.splitlines().index(_indented(source, text)) + 1
            if importer.get("line") != line:
                found.append(f"{name} is imported at line {importer.get('line')}, not {line}")
    return found


def _indented(source: str, text: str) -> str:
    return next(line for line in source.splitlines() if line.strip() == text)
