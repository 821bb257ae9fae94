"""A service that loads what it needs on three threads before it says that it is ready.

    python service.py                  as it was found
    python service.py --without-cycle  `exceptions` no longer imports itself in a circle
    python service.py --import-first   the main thread imports `exceptions` before the threads do
    python service.py --mended         both

Exit code 0: ready; 1: a thread failed. README.md says which Python fails in which way.
"""

import argparse
import sys
import threading
from pathlib import Path

import gates


def load_exceptions():
    import exceptions


def load_agent():
    import exceptions.exceptions_agent


def load_handlers():
    from exceptions import ServiceError


ready = []


def warm_up(load):
    try:
        load()
        ready.append(load)
    finally:
        gates.leave()


def main():
    options = argparse.ArgumentParser(description="A service with three warm-up threads.")
    options.add_argument("--without-cycle", action="store_true")
    options.add_argument("--import-first", action="store_true")
    options.add_argument("--mended", action="store_true")
    given = options.parse_args()

    package = "without_cycle" if given.without_cycle or given.mended else "as_found"
    sys.path.insert(0, str(Path(__file__).parent / package))
    if given.import_first or given.mended:
        load_exceptions()
    threads = [
        threading.Thread(target=warm_up, args=(load,), name=f"warm-up-{number}")
        for number, load in enumerate((load_exceptions, load_agent, load_handlers), start=1)
    ]
    gates.start(threads)
    for thread in threads:
        thread.join()
    if len(ready) < len(threads):
        failed = len(threads) - len(ready)
        print(f"service: not ready, {failed} of {len(threads)} warm-up threads failed")
        return 1
    print("service: ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
