"""`restored_modules`: sys.modules as it was."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

import pytest

from importtrace.testing import restored_modules

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of two modules on sys.path, none of them imported."""
    folder = tmp_path / "restorable"
    folder.mkdir()
    (folder / "__init__.py").write_text("COUNT = []\n")
    (folder / "part.py").write_text("import restorable\nrestorable.COUNT.append(1)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "restorable"


def test_what_the_block_imports_is_gone_after_it(package: str) -> None:
    """New modules, and the names of submodules in packages that stay, go; the dictionary is the same."""
    modules = sys.modules
    with restored_modules():
        import restorable

        with restored_modules():
            import restorable.part

            assert restorable.part
        assert "restorable.part" not in sys.modules
        assert not hasattr(restorable, "part")
        assert sys.modules["restorable"] is restorable
    assert "restorable" not in sys.modules
    assert sys.modules is modules


def test_forgotten_modules_are_imported_anew_and_the_old_ones_put_back(package: str) -> None:
    """With `forget` the block gets new objects; afterwards the old ones are there, bound as before."""
    with restored_modules():
        import restorable.part

        old, old_part = restorable, restorable.part
        with restored_modules("restorable"):
            assert "restorable.part" not in sys.modules
            import restorable.part as new_part

            assert new_part is not old_part
            assert sys.modules["restorable"] is not old
        assert sys.modules["restorable"] is old
        assert sys.modules["restorable.part"] is old_part
        assert old.part is old_part


def test_a_name_is_forgotten_as_a_whole(package: str) -> None:
    """`forget` goes by dotted names: ``rest`` is not ``restorable``."""
    with restored_modules():
        import restorable

        with restored_modules("restor"):
            assert sys.modules["restorable"] is restorable


def test_removed_and_replaced_entries_are_put_back() -> None:
    """Also where the block fails."""
    import colorsys
    import sched

    def fails() -> None:
        with restored_modules():
            del sys.modules["colorsys"]
            sys.modules["sched"] = types.ModuleType("sched")
            raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert sys.modules["colorsys"] is colorsys
    assert sys.modules["sched"] is sched


def test_blocked_modules_and_strange_entries_do_no_harm() -> None:
    """None in sys.modules (a blocked import) and objects that are no modules are entries like others."""
    with restored_modules():
        sys.modules["blocked_here"] = None  # type: ignore[assignment]
        sys.modules["odd.entry"] = object()  # type: ignore[assignment]
        with restored_modules("odd"):
            assert "odd.entry" not in sys.modules
            with pytest.raises(ImportError):
                import blocked_here  # noqa: F401
        assert "odd.entry" in sys.modules
    assert "odd.entry" not in sys.modules
    assert "blocked_here" not in sys.modules


def test_files_written_a_moment_ago_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's listing may be cached by the finder; the block looks again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError):
        import written_late
    (tmp_path / "written_late.py").write_text("VALUE = 1\n")
    with restored_modules():
        import written_late

        assert written_late.VALUE == 1
