"""Each condition does to a process what it says, and nothing else."""

import sys

import pytest
from race_support import write

from importtrace.race.conditions_matrix import STEPS
from importtrace.race.scenario import Scenario, SetUp

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux says how")


def under(runner, folder, entry, step, *arguments):
    """One import in one process, after that step."""
    scenario = Scenario.of(
        entry, threads=False, path=(folder,), set_up=(SetUp(STEPS + step, arguments),)
    )
    return runner.run(scenario)


def check(runner, tmp_path, body, step, *arguments):
    """The body of a module, under the step; asserts in it are the test."""
    result = under(runner, write(tmp_path, {"probe.py": body}), "probe", step, *arguments)
    assert result.ok, result.message


def test_hidden_module_is_as_if_not_installed(runner, tmp_path):
    """The error is Python's own, `find_spec` finds nothing, and what else there is stays."""
    body = """
        import importlib.util
        assert importlib.util.find_spec("extra") is None
        assert importlib.util.find_spec("extras") is not None
        try:
            import extra.inner
        except ModuleNotFoundError as error:
            assert error.name == "extra" and str(error) == "No module named 'extra'", error
        else:
            raise AssertionError("found")
        """
    write(tmp_path, {"extra/__init__.py": "", "extra/inner.py": "", "extras.py": ""})
    check(runner, tmp_path, body, "hide", "extra")


def test_submodule_and_builtin_can_be_hidden(runner, tmp_path):
    """Its package stays; a module without a file is found by another finder."""
    write(tmp_path, {"extra/__init__.py": "", "extra/inner.py": ""})
    body = "import extra\ntry: import extra.inner\nexcept ModuleNotFoundError: pass\nelse: 1 / 0\n"
    check(runner, tmp_path, body, "hide", "extra.inner")
    body = "try: import _json\nexcept ModuleNotFoundError: import json\nelse: 1 / 0\n"
    check(runner, tmp_path, body, "hide", "_json")


def test_module_of_the_interpreter_cannot_be_hidden(runner, tmp_path):
    """It says so; it does not pretend."""
    result = under(runner, str(tmp_path), "json", "hide", "sys")
    assert "'sys' cannot be hidden" in result.message


def test_cold_reads_and_writes_no_bytecode(runner, tmp_path):
    """Bytecode that says something else than the source is not believed; none is left."""
    folder = write(tmp_path, {"told.py": "VALUE = 'bytecode'\n", "other.py": "", "probe.py": ""})
    import py_compile

    py_compile.compile(
        f"{folder}/told.py", invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    write(tmp_path, {"told.py": "VALUE = 'source'\n"})
    check(runner, tmp_path, "import told, other\nassert told.VALUE == 'source'\n", "cold")
    assert [file.name.partition(".")[0] for file in (tmp_path / "__pycache__").iterdir()] == [
        "told"
    ]


def test_slow_file_system_takes_so_much_longer_and_is_drawn_by_its_seed(runner, tmp_path):
    """At least one search and one read for each module; the same seed gives the same delays."""
    body = """
        import time
        began = time.perf_counter()
        import a, b, c
        assert time.perf_counter() - began >= 3 * 2 * 0.010, "too fast"
        """
    write(tmp_path, {"a.py": "", "b.py": "", "c.py": ""})
    check(runner, tmp_path, body, "slow_fs", 10.0, 0.0, 1)
    draw = """
        import sys
        from importtrace.race import conditions_steps
        drawn = []
        conditions_steps.sleep = drawn.append
        import a, b
        raise ValueError(repr(drawn))
        """
    folder = write(tmp_path, {"probe.py": draw})
    drawn = [
        under(runner, folder, "probe", "slow_fs", 1.0, 5.0, seed).message for seed in (3, 3, 4)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_traceback_under_a_slow_file_system_is_as_without(runner, tmp_path):
    """No frame of ours in what a program sees."""
    folder = write(tmp_path, {"probe.py": "import nothing_like_this\n"})
    result = under(runner, folder, "probe", "slow_fs", 1.0, 0.0, 1)
    assert [frame[2] for frame in result.first.frames] == ["__entry__", "probe"]


@LINUX
def test_so_many_cpus(runner, tmp_path):
    """By affinity, so that what asks the system gets that number."""
    check(runner, tmp_path, "import os\nassert len(os.sched_getaffinity(0)) == 1\n", "cpu", 1)


@LINUX
def test_memory_is_limited(runner, tmp_path):
    """Allocations beyond fail, and `resource` is the target's own import."""
    body = """
        import sys
        assert "resource" not in sys.modules
        try:
            bytearray(1 << 30)
        except MemoryError:
            pass
        else:
            raise AssertionError("got it")
        """
    check(runner, tmp_path, body, "memory", 512 << 20)


def test_read_only_refuses_writing_and_nothing_else(runner, tmp_path):
    """Files, folders, bytecode; reading, pipes and devices work."""
    (tmp_path / "kept.txt").write_text("kept")
    body = """
        import errno, os, pathlib
        here = pathlib.Path(__file__).parent
        import other
        assert (here / "kept.txt").read_text() == "kept"
        for attempt in (
            lambda: (here / "new.txt").write_text(""),
            lambda: open(here / "kept.txt", "a"),
            lambda: os.open(here / "kept.txt", os.O_RDWR),
            lambda: os.mkdir(here / "folder"),
            lambda: os.remove(here / "kept.txt"),
            lambda: os.rename(here / "kept.txt", here / "b"),
        ):
            try:
                attempt()
            except OSError as error:
                assert error.errno == errno.EROFS, error
            else:
                raise AssertionError("written")
        open(os.devnull, "w").close()
        reader, writer = os.pipe()
        os.fdopen(writer, "w").close()
        """
    write(tmp_path, {"other.py": ""})
    check(runner, tmp_path, body, "read_only")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["kept.txt", "other.py", "probe.py"]


def test_path_the_other_way_round(runner, tmp_path):
    """Of two modules of one name the other is found; the library stays where it is."""
    for name in ("first", "second"):
        write(tmp_path, {f"{name}/which.py": f"import json\nraise ValueError({name!r})\n"})
    path = (str(tmp_path / "first"), str(tmp_path / "second"))
    scenario = Scenario.of("which", threads=False, path=path)
    turned = scenario.with_(set_up=(SetUp(STEPS + "path_order"),))
    assert runner.run(scenario).message == "ValueError: first"
    assert runner.run(turned).message == "ValueError: second"


@pytest.mark.parametrize("preload", [False, True])
def test_workers_import_at_the_same_time(runner, tmp_path, preload):
    """Each in a process of its own; the first failure and how many is what is said."""
    folder = write(tmp_path, {"fine.py": "", "bad.py": "raise KeyError('bad')\n"})
    assert under(runner, folder, "fine", "workers", 3, preload, [("fine", None)]).ok
    result = under(runner, folder, "fine", "workers", 3, preload, [("bad", None)])
    assert "KeyError: 'bad'" in result.message
    assert ("3 of 3 workers" in result.message) is not preload
