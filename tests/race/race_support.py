"""Packages for the tests of the race engine, and how they are written to a folder."""

import textwrap

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
