"""Counts our instructions in one import of an empty module, in a given situation. Prints JSON.

cost_program.py MODE FOLDER imports|threads|finders
"""

import json
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from faults import Injector

import importtrace

mode, folder, what = sys.argv[1:]
sys.path.insert(0, folder)
names = (f"m{number}" for number in range(100_000))


def imports(count):
    for _ in range(count):
        name = next(names)
        Path(folder, f"{name}.py").touch()
        __import__(name)


def cost():
    """Instructions of ours in each of ten imports."""
    counts = []
    for _ in range(11):
        name = next(names)
        Path(folder, f"{name}.py").touch()
        injector = Injector({})
        injector.start()
        __import__(name)
        injector.stop()
        counts.append(injector.count)
    return counts[1:]  # 3.12 tells of no instruction the first time tracing begins


class Silent:
    def find_spec(self, name, path=None, target=None):
        return None


importtrace.install(mode=mode, log="off", spans="off", stall_seconds=0, max_records=200)
imports(250)  # the log is full: that other branch lies before the first look
before = cost()
if what == "imports":
    imports(1000)
elif what == "finders":
    sys.meta_path[:0] = [Silent() for _ in range(200)]
else:
    end = threading.Event()
    ready = threading.Barrier(41)

    def work():
        imports(1)
        ready.wait(30)
        end.wait(60)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(40)]
    for thread in threads:
        thread.start()
    ready.wait(30)
after = cost()
print(json.dumps({"before": before, "after": after}))
if what == "threads":
    end.set()
