"""Real start-ups that do not end well: killed at any moment, out of memory, out of disk."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ready_programs import python_with

import importtrace
from importtrace import spool
from importtrace.reports.standing import standing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importtrace.records import ImportRecord

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills as Linux does"),
]

KILLS = int(os.environ.get("IMPORTTRACE_TEST_KILLS", "500"))
SEED = int(os.environ.get("IMPORTTRACE_TEST_SEED", "0"))
SOURCE = str(Path(importtrace.__file__).parent.parent)

SETTINGS = """
SECRET_KEY = "test"
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
    "django.contrib.sessions", "django.contrib.messages", "django.contrib.staticfiles", "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
ROOT_URLCONF = "site_urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
"""


@pytest.fixture(scope="module")
def django(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(its interpreter, the project)."""
    python = python_with("spool-django", "django>=4.2")
    project = tmp_path_factory.mktemp("project")
    (project / "shop").mkdir()
    for name, text in {
        "settings.py": SETTINGS,
        "site_urls.py": "from django.contrib import admin\nfrom django.urls import path\n"
        "urlpatterns = [path('admin/', admin.site.urls)]\n",
        "shop/__init__.py": "",
        "shop/models.py": "from django.db import models\n\n\nclass Item(models.Model):\n"
        "    name = models.CharField(max_length=9)\n",
        "manage.py": "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(['manage.py', 'check'])\n",
    }.items():
        (project / name).write_text(text)
    return python, project


def _command(python: Path, folder: Path) -> list[str]:
    options = ["--spool", str(folder), "--log", "off"]
    return [str(python), "-m", "importtrace", "run", *options, "manage.py"]


def _environment() -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("IMPORTTRACE")}
    env["PYTHONPATH"] = SOURCE
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def test_django_killed_at_any_moment(django: tuple[Path, Path], tmp_path: Path) -> None:
    """Every file is whole, and names where the process was with a true line for each link."""
    python, project = django
    folder = tmp_path / "spool"
    begin = time.monotonic()
    for _ in range(2):  # the first writes the bytecode
        begin = time.monotonic()
        subprocess.run(
            _command(python, folder),
            cwd=project,
            env=_environment(),
            stdout=subprocess.DEVNULL,
            timeout=120,
            check=True,
        )
    takes = time.monotonic() - begin
    shutil.rmtree(folder)
    chance = random.Random(SEED)
    killed = importing = 0
    for number in range(3 * KILLS):
        if killed == KILLS:
            break
        child = subprocess.Popen(
            _command(python, folder), cwd=project, env=_environment(), stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while not folder.exists() and child.poll() is None:  # importtrace's own start-up
            assert time.monotonic() < deadline
            time.sleep(0.001)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(chance.uniform(0, takes))
        child.kill()
        child.wait(60)
        for path in spool.files(str(folder)):
            if not _has_head(path):
                continue  # killed between two system calls of its creation
            trace = spool.read(path)
            assert trace.problems == (), (number, path)
            if trace.header["end"] == "exit":
                continue
            assert trace.header["end"] == "died"
            killed += 1
            for chain in standing(trace):
                importing += 1
                _check(chain)
        shutil.rmtree(folder)
    print(f"{killed} killed, {importing} threads in an import")
    assert killed == KILLS
    assert importing > 0.5 * killed


def _has_head(path: str) -> bool:
    with open(path, "rb") as file:
        return spool.is_spool(file.read(32))


def _check(chain: list[ImportRecord]) -> None:
    for outer, inner in pairwise(chain):
        assert inner.parent == outer.id
    for record in chain:
        importer = record.importer
        if importer is None or importer.file is None or not os.path.isfile(importer.file):
            continue  # importlib, frozen code
        assert importer.line
        with open(importer.file, encoding="utf-8") as source:
            line = source.read().splitlines()[importer.line - 1]
        assert "import" in line, (record.module, importer.file, importer.line, line)


PROGRAM = """\
import importtrace; importtrace.install()
import sys, types
print("up", flush=True)
import greedy
"""


def _greedy(folder: Path, body: str) -> None:
    (folder / "program.py").write_text(PROGRAM)
    (folder / "greedy.py").write_text(textwrap.dedent(body))


@pytest.fixture
def memory_limit() -> Iterator[list[str]]:
    """What to put before a command so that it may use 64 MiB; skips where cgroups cannot be made."""
    name = f"importtrace-test-{os.getpid()}"
    for base, limit, members in (
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "cgroup.procs"),
        ("/sys/fs/cgroup", "memory.max", "cgroup.procs"),
    ):
        group = Path(base, name)
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(64 << 20))
            yield ["sh", "-c", f'echo $$ > {group / members} && exec "$@"', "sh"]
        except OSError as error:
            pytest.skip(f"no memory cgroup can be made here: {error}")
        finally:
            deadline = time.monotonic() + 10
            while group.exists() and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    group.rmdir()
        return
    pytest.skip("no memory cgroup can be made here")


def test_killed_for_its_memory(memory_limit: list[str], tmp_path: Path) -> None:
    """The kernel ends it in the middle of a body; the file says in which."""
    _greedy(tmp_path, "import json\nkept = []\nwhile True:\n    kept.append(bytearray(1 << 20))\n")
    folder = tmp_path / "spool"
    env = {**_environment(), "IMPORTTRACE_SPOOL": str(folder), "IMPORTTRACE_LOG": "off"}
    done = subprocess.run(
        [*memory_limit, sys.executable, "program.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (path,) = spool.files(str(folder))
    trace = spool.read(path)
    assert (trace.header["end"], trace.problems) == ("died", ())
    ((record,),) = standing(trace)
    assert (record.module, record.origin) == ("greedy", str(tmp_path / "greedy.py"))


def _on_small_disk(tmp_path: Path, megabytes: float, program: str) -> list[str]:
    """A command that runs ``program`` with a disk of that size at ``small``, and copies the spool out."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        pytest.skip("needs bwrap (bubblewrap) for a small disk")
    small = tmp_path / "small"
    small.mkdir()
    (tmp_path / "out").mkdir()
    command = [bwrap, "--dev-bind", "/", "/", "--size", str(int(megabytes * (1 << 20)))]
    command += ["--tmpfs", str(small), "--die-with-parent"]
    probe = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"bwrap cannot mount here: {probe.stderr.strip()}")
    inner = f'"$0" {program}; code=$?; cp {small}/spool/* {tmp_path}/out/; exit $code'
    return [*command, "sh", "-c", inner, sys.executable]


@pytest.mark.parametrize("megabytes", [0.1, 0.4, 1.5])
def test_a_full_disk(tmp_path: Path, megabytes: float) -> None:
    """No SIGBUS and no failed import: less is written, and one line says so."""
    _greedy(
        tmp_path,
        """\
        import sys
        from importlib.machinery import ModuleSpec
        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name.startswith("made_"):
                    return ModuleSpec(name, self, origin="x" * 300)
            def create_module(self, spec): return None
            def exec_module(self, module): pass
        sys.meta_path.append(Finder())
        for number in range(6000):
            __import__(f"made_{number}")
        print("done", flush=True)
        """,
    )
    env = {
        **_environment(),
        "IMPORTTRACE_SPOOL": str(tmp_path / "small" / "spool"),
        "IMPORTTRACE_LOG": "off",
    }
    done = subprocess.run(
        _on_small_disk(tmp_path, megabytes, "program.py"),
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "up\ndone\n", done.stderr
    ours = [line for line in done.stderr.splitlines() if line.startswith("importtrace: ")]
    assert len(ours) == 1
    assert "No space left on device" in ours[0]
    files = spool.files(str(tmp_path / "out"))
    if megabytes < 0.2:
        assert files == [], "what cannot be begun is not left behind"
        return
    trace = spool.read(files[0])
    assert trace.header["end"] == "exit"
    assert trace.header["dropped"] > 100
    assert "made_0" in {record.module for record in trace.records}
