"""Random programs, traced and replayed: does what was recorded come again?

    python tests/race/replay_random.py [FIRST [LAST]]

Each seed makes a package of three to six modules that import each other at random, and a program that imports
some of them on two to four threads, with short sleeps so that they meet. One line for each that was not
replayed in full, then the counts. Not a test: what a recording holds depends on the machine's load.
"""

import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

TIMES = 4


def write_program(folder, seed):
    drawn = random.Random(seed)
    count = drawn.randint(3, 6)
    package = folder / "pk"
    package.mkdir(parents=True)
    for number in range(count):
        lines = ["import time"]
        for step in range(drawn.randint(1, 4)):
            other = drawn.randrange(count)
            statement = drawn.choice(
                [
                    f"from .m{other} import n{other}_{drawn.randint(0, 3)}",
                    f"from . import m{other}",
                    f"import pk.m{other}",
                    "x = 1",
                ]
            )
            lines.append(f"time.sleep({drawn.choice([0, 0.001, 0.003])})")
            lines.append("x = 1" if other == number else statement)
            lines.append(f"n{number}_{step} = {step}")
        lines += [f"n{number}_{step} = {step}" for step in range(4)]
        (package / f"m{number}.py").write_text("\n".join(lines) + "\n")
    first = drawn.sample(range(count), drawn.randint(0, 2))
    body = "".join(f"time.sleep(0.001)\nfrom . import m{other}\n" for other in first)
    (package / "__init__.py").write_text("import time\n" + body)
    entries = [
        (f"pk.m{drawn.randrange(count)}" if drawn.random() < 0.8 else "pk", drawn.random() * 0.006)
        for _ in range(drawn.randint(2, 4))
    ]
    (folder / "main.py").write_text(
        "import threading, time\n"
        "def go(module, delay):\n"
        "    time.sleep(delay)\n"
        "    exec('import ' + module)\n"
        f"threads = [threading.Thread(target=go, args=pair) for pair in {entries!r}]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
    )
    return folder / "main.py"


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "importtrace", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def one(folder, seed):
    """(what came of it, where the order was left)"""
    trace = folder / "trace.jsonl"
    run("run", "--log", "off", "-o", trace, write_program(folder, seed))
    done = run("replay", trace, "--times", TIMES, "--json")
    if not done.stdout:
        return f"refused: {done.stderr.strip()}", None
    found = json.loads(done.stdout)
    left = found["diverged"]
    if not found["failures"]:
        kind = "no failure, none came" if found["outcome"] == "ok" else "no failure, one came"
    elif all(failure["reproduced"] == f"{TIMES}/{TIMES}" for failure in found["failures"]):
        kind = "all failures came again"
    elif found["reproduced"] == f"{TIMES}/{TIMES}":
        kind = "the first failure came again"
    else:
        kind = "some runs failed so" if found["failed"] else "not reproduced"
    return kind + (", order left" if left else ""), left


def main(first=0, last=20):
    counts = Counter()
    for seed in range(int(first), int(last)):
        with tempfile.TemporaryDirectory() as folder:
            kind, left = one(Path(folder) / "code", seed)
        counts[kind] += 1
        if left:
            print(f"{seed}: {kind}: {left[:160]}", flush=True)
    for kind, number in counts.most_common():
        print(f"{number:5}  {kind}")


if __name__ == "__main__":
    main(*sys.argv[1:])
