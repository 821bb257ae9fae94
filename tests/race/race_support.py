"""Packages for the tests of the race engine, and how they are written to a folder."""

import _frozen_importlib as bootstrap
import textwrap

# Told by the code that this interpreter runs, whatever its version says.
PARENTS_FIRST = hasattr(bootstrap, "_resolve_parents")
TRUE_HERE = {
    "waits_for_parent": "_initializing" in bootstrap._find_and_load_unlocked.__code__.co_consts,
    "loads_again": "_find_and_load" in bootstrap._find_and_load.__code__.co_names or PARENTS_FIRST,
    "parents_first": PARENTS_FIRST,
}

CYCLE = {
    "ring/__init__.py": "from .left import Left\n",
    "ring/left.py": "class Left: pass\nfrom .right import Right\n",
    "ring/right.py": "from .left import Left\nclass Right(Left): pass\n",
}
WITHOUT_CYCLE = {
    "ring/__init__.py": "",
    "ring/left.py": "class Left: pass\n",
    "ring/right.py": "from .left import Left\nclass Right(Left): pass\n",
}


def write(folder, files):
    """Writes {relative path: source}; returns the folder as text."""
    for name, source in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source))
    return str(folder)
