"""The folder of spool files: who may own it, and which files go when there are too many."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from spool_support import environment, run

from importtrace import _spool_folder as folders
from importtrace import _spool_format as layout
from importtrace import spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the spool needs POSIX files")

IDLE = "import sys\nprint('up', flush=True)\nsys.stdin.read()\n"


def _start(code: str, folder: Path, **settings: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(folder, **settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _await_up(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"


@contextmanager
def _idling(code: str, folder: Path) -> Iterator[None]:
    """``code``, which ends in IDLE, has come there, and stays until the block is left."""
    with _start(code, folder) as process:
        _await_up(process)
        yield


def test_only_its_owner_can_read_a_spool(tmp_path: Path) -> None:
    """Folder 0700, file 0600, whatever the umask says."""
    folder = tmp_path / "spool"
    for umask in (0, 0o077, 0o777):
        subprocess.run(
            [sys.executable, "-c", "import importtrace; importtrace.install()\nimport json\n"],
            env=environment(folder),
            umask=umask,
            timeout=60,
            check=True,
        )
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(spool.files(str(folder))) == 3
    for path in spool.files(str(folder)):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def _untraced_to_spool(tmp_path: Path, folder: str) -> str:
    """What a program says that cannot spool; it runs, traced, all the same."""
    (tmp_path / "program.py").write_text(
        "import importtrace; importtrace.install()\nimport json\n"
        "print(any(r.module == 'json' for r in importtrace.trace().records))\n"
    )
    env = environment(tmp_path)
    env["IMPORTTRACE_SPOOL"] = folder
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "True\n"
    assert done.stderr.startswith("importtrace: imports are not spooled: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("tail", ["", "/"])
def test_a_symbolic_link_is_not_followed(tmp_path: Path, tail: str) -> None:
    """Nor where the name ends in a slash, which makes the kernel follow it."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    said = _untraced_to_spool(tmp_path, str(tmp_path / "link") + tail)
    assert "is a symbolic link; name the folder itself" in said
    assert os.listdir(tmp_path / "real") == []


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """They could replace the files."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    said = _untraced_to_spool(tmp_path, str(tmp_path / "open"))
    assert "others may write in" in said
    assert "(mode 777); name a folder in it, or chmod it to 700" in said
    assert os.listdir(tmp_path / "open") == []


@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="needs root to give it away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    """Also by root, whom nothing else would stop."""
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", 12345, 12345)
    said = _untraced_to_spool(tmp_path, str(tmp_path / "theirs"))
    assert "belongs to user 12345, not 0; name a folder in it" in said


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no/such", "No such file or directory"),
        ("program.py", "Not a directory"),
        ("/proc/spool", "No such file or directory"),
    ],
)
def test_a_folder_that_cannot_be(tmp_path: Path, name: str, why: str) -> None:
    """One line that says which and why, and the program runs."""
    said = _untraced_to_spool(tmp_path, name)
    assert why in said
    assert "name a folder that can be written" in said


def test_a_file_may_be_as_large_as_the_process_may_make_one(tmp_path: Path) -> None:
    """RLIMIT_FSIZE below our bound: less is mapped, and nothing is signalled."""
    done = run(
        tmp_path,
        "import json\n",
    )
    limited = subprocess.run(
        [
            sys.executable,
            "-c",
            "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))\n"
            "import importtrace; importtrace.install()\nimport wave\n",
        ],
        env=environment(done.folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert limited.stderr == ""
    assert max(map(os.path.getsize, done.files[1:])) == 512 * 1024
    assert "wave" in {record.module for record in spool.read(done.files[-1]).records}


def test_many_workers_in_one_folder(tmp_path: Path) -> None:
    """Each has a file, though they start at once and share the folder's bounds."""
    folder = tmp_path / "spool"
    code = "import importtrace; importtrace.install()\nimport json\n" + IDLE
    workers = [_start(code, folder, IMPORTTRACE_SPOOL_FILES="2") for _ in range(8)]
    for worker in workers:  # a file may go once its process has ended: none does before all are up
        _await_up(worker)
    for worker in workers:
        worker.communicate(timeout=60)
    found = [spool.read(path) for path in spool.files(str(folder))]
    assert {trace.header["pid"] for trace in found} == {worker.pid for worker in workers}
    assert {trace.header["end"] for trace in found} == {"exit"}
    assert all("json" in {record.module for record in trace.records} for trace in found)


# rotation ----------------------------------------------------------------------------------


def _process(folder: Path, kill: bool = False, **settings: str) -> None:
    end = "import os; os.kill(os.getpid(), 9)" if kill else ""
    code = f"import importtrace; importtrace.install()\n{end}\n"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(folder, **settings), timeout=60, check=False
    )
    assert done.returncode == (-signal.SIGKILL if kill else 0)


def test_the_oldest_files_go_first(tmp_path: Path) -> None:
    """Finished or killed; the count holds with the new file included."""
    folder = tmp_path / "spool"
    for number in range(4):
        _process(folder, kill=bool(number % 2))
    before = spool.files(str(folder))
    _process(folder, IMPORTTRACE_SPOOL_FILES="3")
    after = spool.files(str(folder))
    assert len(after) == 3
    assert after[:2] == before[2:]


def test_the_folder_stays_below_its_size(tmp_path: Path) -> None:
    """Counted are blocks on the disk."""
    folder = tmp_path / "spool"
    for _ in range(4):
        _process(folder)  # 1 MiB each
    before = spool.files(str(folder))
    _process(folder, IMPORTTRACE_SPOOL_MB="2")
    assert spool.files(str(folder))[:2] == before[2:]


def test_the_file_of_a_living_process_stays(tmp_path: Path) -> None:
    """Though it is the oldest, and over both bounds; other files in the folder stay, too."""
    folder = tmp_path / "spool"
    with _idling("import importtrace; importtrace.install()\n" + IDLE, folder):
        (mine,) = spool.files(str(folder))
        (folder / "1-1.spool").write_text("somebody else's")
        (folder / "notes.txt").write_text("mine")
        for _ in range(2):
            _process(folder, IMPORTTRACE_SPOOL_FILES="1", IMPORTTRACE_SPOOL_MB="1")
            assert mine in spool.files(str(folder))
            assert len(spool.files(str(folder))) <= 3
        assert sorted(os.listdir(folder))[0] == "1-1.spool"
        assert (folder / "notes.txt").exists()


def test_a_process_that_became_another_program_no_longer_spools(tmp_path: Path) -> None:
    """exec keeps the pid; the file is over all the same."""
    folder = tmp_path / "spool"
    code = (
        "import importtrace; importtrace.install()\nimport json, os, sys\n"
        f"os.execv(sys.executable, [sys.executable, '-c', {IDLE!r}])\n"
    )
    with _idling(code, folder):
        (path,) = spool.files(str(folder))
        assert spool.read(path).header["end"] == "died"


def _head(**numbers: int) -> bytes:
    head = bytearray(layout.PAGE)
    head[: len(layout.MAGIC)] = layout.MAGIC
    head[layout.AT_BOOT : layout.AT_BOOT + 36] = folders.boot_id().encode()
    for name, number in numbers.items():
        at = getattr(layout, name)
        size = 1 if name == "AT_LOCKED" else 8
        head[at : at + size] = number.to_bytes(size, "little")
    return bytes(head)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pid namespaces are Linux's")
@pytest.mark.parametrize(("locked", "state"), [(1, "running"), (0, "unknown")])
def test_another_containers_process_is_known_by_its_lock(
    tmp_path: Path, locked: int, state: str
) -> None:
    """Its pid means nothing here; where it could not lock, nobody can tell."""
    import fcntl

    head = _head(AT_PID=os.getpid(), AT_PID_SPACE=1, AT_LOCKED=locked)
    path = tmp_path / "1-1.spool"
    path.write_bytes(head)
    with open(path, "rb") as owner, open(path, "rb") as other:
        fcntl.flock(owner, fcntl.LOCK_SH)
        assert folders.process_state(other.fileno(), head) == state
        fcntl.flock(owner, fcntl.LOCK_UN)
        after = "died" if locked else "unknown"
        assert folders.process_state(other.fileno(), head) == after
