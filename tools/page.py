"""Sections of a Markdown page that scripts write, each between two markers of its own."""

from pathlib import Path


def read(path: Path, section: str) -> str:
    """The section's text; empty where the page does not have it."""
    if not path.exists():
        return ""
    _, _, rest = path.read_text(encoding="utf-8").partition(_begin(section))
    return rest.partition(_end(section))[0].strip("\n")


def write(path: Path, section: str, text: str) -> None:
    """Replaces the section's text, and nothing else. Raises ValueError where the markers are missing."""
    old = path.read_text(encoding="utf-8")
    head, begin, rest = old.partition(_begin(section))
    _, end, tail = rest.partition(_end(section))
    if not begin or not end:
        raise ValueError(f"{path} has no markers of the section {section!r}: {_begin(section)}")
    path.write_text(f"{head}{begin}\n{text.strip()}\n{end}{tail}", encoding="utf-8")


def _begin(section: str) -> str:
    return f"<!-- {section}: begin, written by a script -->"


def _end(section: str) -> str:
    return f"<!-- {section}: end -->"
