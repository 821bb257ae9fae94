"""Imports real packages with and without importtrace and says what differs.

    python tools/real_packages.py                        # all of real_packages.toml, all modes
    python tools/real_packages.py --only numpy --mode auto
    python tools/real_packages.py --write                # the table in docs/compatibility.md

Each program runs in fresh interpreters: twice untraced (what differs between these two varies by itself
and is not held against anybody) and once traced in each mode, by injection. Compared are stdout, stderr
with all warnings, the exit code, the set and order of `sys.modules`, and of each module its type, names,
`__spec__` with all it has, `__loader__`, `__file__`, `__cached__`, `__path__`. The trace must hold a load
of each module that the program loaded. Exit code 1 where anything differs or is missing.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import page  # noqa: E402
from real_packages_projects import MADE, NotMade, pip  # noqa: E402

ROOT = HERE.parent
LIST = HERE / "real_packages.toml"
PROBE = HERE / "real_packages_probe.py"
PAGE = ROOT / "docs" / "compatibility.md"
SECTION = "real-packages"
MODES = ("auto", "probes", "finder")
TIMEOUT_S = 300
OURS = ("wrapt>=1.16", "structlog>=24.1", "opentelemetry-sdk>=1.27")
# A built-in module that install() takes for itself, so it comes earlier, or at all.
TAKEN = frozenset(("atexit",))


@dataclass(frozen=True)
class Package:
    """One row of the list."""

    name: str
    run: str
    shows: str
    requires: tuple[str, ...]
    make: str | None = None
    optional: str | None = None
    of: str | None = None  # the distribution whose version is shown


@dataclass
class Observed:
    """What one interpreter did."""

    code: int
    out: str
    err: str
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)  # in the order of sys.modules
    meta_path: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    header: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [name for name in self.facts if not ours(name) and name not in TAKEN]


@dataclass
class Result:
    """One package: by mode what differs, and which modules the trace has no load of."""

    package: Package
    version: str = ""
    modules: int = 0
    varies: int = 0  # modules of which something differs between two untraced runs
    different: dict[str, list[str]] = field(default_factory=dict)
    untraced: dict[str, list[str]] = field(default_factory=dict)
    not_run: str | None = None

    @property
    def good(self) -> bool:
        return not any(self.different.values()) and not any(self.untraced.values())


def ours(name: str) -> bool:
    return name.partition(".")[0] == "importtrace"


def packages(path: Path = LIST) -> list[Package]:
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["package"]
    return [
        Package(
            name=row["name"],
            run=row["run"].strip(),
            shows=row["shows"],
            requires=tuple(row.get("requires", () if "make" in row else (row["name"],))),
            make=row.get("make"),
            optional=row.get("optional"),
            of=row.get("of"),
        )
        for row in rows
    ]


# the environment ---------------------------------------------------------------------------


def environment(chosen: list[Package], base: str) -> tuple[Path, dict[str, str]]:
    """The Python of an environment with these packages, and why some of them are not in it.

    Made once and kept under .nox, for each interpreter and list.
    """
    wanted = sorted({one for package in chosen for one in package.requires if not package.optional})
    key = hashlib.sha256(repr(wanted + [p.make or "" for p in chosen]).encode()).hexdigest()[:8]
    asked = [base, "-c", "import sys; print(sys.implementation.cache_tag)"]
    tag = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    folder = ROOT / ".nox" / f"real-packages-{tag}-{key}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    known = folder / "missing.json"
    if known.exists():
        return python, json.loads(known.read_text())
    missing: dict[str, str] = {}
    subprocess.run([base, "-m", "venv", "--clear", str(folder)], check=True)
    try:
        pip(python, *OURS, *wanted)
    except NotMade:
        for package in chosen:  # one of them; the rest is still worth its run
            try:
                if package.requires and not package.optional:
                    pip(python, *package.requires)
            except NotMade as error:
                missing[package.name] = str(error)
    for package in chosen:
        if package.make:
            try:
                MADE[package.make](folder / "made" / package.make, python)
            except NotMade as error:
                missing[package.name] = str(error)
    known.write_text(json.dumps(missing))
    return python, missing


def versions(python: Path) -> dict[str, str]:
    command = [str(python), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {one["name"].lower().replace("_", "-").replace(".", "-"): one["version"]
            for one in json.loads(done.stdout)}  # fmt: skip


# one run -----------------------------------------------------------------------------------


def observe(python: Path | str, program: str, mode: str | None, folder: Path) -> Observed:
    """Runs the program in a fresh interpreter; `folder` is empty and the same path for each run."""
    from importtrace.inject import SITE

    facts, trace = folder.parent / "facts.json", folder.parent / "trace-{pid}.jsonl"
    for old in (facts, *folder.parent.glob("trace-*.jsonl")):
        old.unlink(missing_ok=True)
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env |= {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    env |= {
        "HF_HUB_OFFLINE": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "MPLCONFIGDIR": str(folder),
    }
    if mode is not None:
        env |= {"PYTHONPATH": SITE, "IMPORTTRACE": "1", "IMPORTTRACE_MODE": mode}
        env |= {
            "IMPORTTRACE_FILE": str(trace),
            "IMPORTTRACE_LOG": "off",
            "IMPORTTRACE_SPANS": "off",
        }
    # -P: nothing of this folder is on the path
    command = [str(python), "-P", "-W", "always", str(PROBE), str(facts), program]
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err += f"\nstill running after {TIMEOUT_S} s"
    seen = Observed(process.returncode, out, err)
    if facts.exists():
        found = json.loads(facts.read_text(encoding="utf-8"))
        seen.facts = dict(found["modules"])
        seen.meta_path = [name for name in found["meta_path"] if not ours(name)]
    written = folder.parent / f"trace-{process.pid}.jsonl"
    if written.exists():
        seen.header, *seen.records = map(json.loads, written.read_text("utf-8").splitlines())
    return seen


# comparing ---------------------------------------------------------------------------------


def varying(one: Observed, other: Observed) -> tuple[set[tuple[str, str]], set[str]]:
    """What two untraced runs disagree in: (module, fact), and the general things."""
    facts = {
        (name, key)
        for name in one.facts.keys() & other.facts.keys()
        for key in one.facts[name].keys() | other.facts[name].keys()
        if one.facts[name].get(key) != other.facts[name].get(key)
    }
    general = {key for key in ("code", "out", "err", "names", "meta_path")
               if getattr(one, key) != getattr(other, key)}  # fmt: skip
    return facts, general


def differences(
    plain: Observed, traced: Observed, varies: set[tuple[str, str]], general: set[str]
) -> list[str]:
    """One line for each thing that tracing changed."""
    found = []
    for key in ("code", "out", "err", "meta_path"):
        before, after = getattr(plain, key), getattr(traced, key)
        if before != after and key not in general:
            found.append(f"{key}: {_short(before)} became {_short(after)}")
    if plain.names != traced.names and "names" not in general:
        more = [name for name in traced.names if name not in plain.facts]
        less = [name for name in plain.names if name not in traced.facts]
        order = "" if more or less else " in another order"
        found.append(f"sys.modules{order}: more {more[:5]}, fewer {less[:5]}")
    for name in plain.names:
        before, after = plain.facts[name], traced.facts.get(name)
        if after is None:
            continue
        for key in before.keys() | after.keys():
            if before.get(key) != after.get(key) and (name, key) not in varies:
                found.append(
                    f"{name} {key}: {_short(before.get(key))} became {_short(after.get(key))}"
                )
    if not traced.header:
        found.append("no trace was written")
    elif "stopped" in traced.header:
        found.append(f"tracing stopped: {traced.header['stopped']}")
    return found


def not_traced(traced: Observed) -> list[str]:
    """Modules that the program loaded and of which the trace has no load.

    Left out are those that code put into sys.modules by hand: no spec, or that of another name.
    """
    loads = {record["module"] for record in traced.records
             if record["kind"] == "load" and record.get("outcome") != "failed"}  # fmt: skip
    return [name for name in traced.names
            if (facts := traced.facts[name])["new"] and facts.get("spec_name") == name
            and name not in loads]  # fmt: skip


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 160 else text[:70] + " … " + text[-70:]


def compare(python: Path | str, package: Package, modes: tuple[str, ...] = MODES) -> Result:
    """Runs the package's program untraced twice and traced in each mode."""
    result = Result(package)
    with tempfile.TemporaryDirectory(prefix="importtrace-real-") as name:
        folder = Path(name) / "run"
        folder.mkdir()
        plain = observe(python, package.run, None, folder)
        again = observe(python, package.run, None, folder)
        if plain.code:
            lines = plain.err.strip().splitlines() or ["no message"]
            result.not_run = f"fails without us, too: {lines[-1]}"
        facts, general = varying(plain, again)
        result.varies = len({name for name, _ in facts}) + len(general)
        result.modules = sum(one["new"] for one in plain.facts.values())
        for mode in modes:
            traced = observe(python, package.run, mode, folder)
            result.different[mode] = differences(plain, traced, facts, general)
            result.untraced[mode] = not_traced(traced)
    return result


# the table ---------------------------------------------------------------------------------


def table(results: list[Result], python: str, modes: tuple[str, ...]) -> str:
    """The section of the page."""
    ran = [result for result in results if result.not_run is None]
    lines = [
        f"{len(ran)} packages on Python {python}, by `tools/real_packages.py`; modes {', '.join(modes)}. "
        "*Modules* counts what the program loads. *Same* is yes where the program, `sys.modules` and every "
        "module are the same in each mode. *In the trace*: modules with a load of their own, in each mode.",
        "",
        "| package | version | chosen for | modules | same | in the trace |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    notes = []
    for result in ran:
        package = result.package
        changed = [mode for mode in modes if result.different.get(mode)]
        missing = [mode for mode in modes if result.untraced.get(mode)]
        same = "yes" if not changed else f"**no** ({', '.join(changed)})"
        whole = "all" if not missing else ", ".join(
            f"all but {len(result.untraced[mode])} in {mode}" for mode in missing
        )  # fmt: skip
        shows = package.shows + (f" (varies by itself: {result.varies})" if result.varies else "")
        lines.append(f"| {package.name} | {result.version or '-'} | {shows} | {result.modules} "
                     f"| {same} | {whole} |")  # fmt: skip
        for mode in modes:
            for one in result.different.get(mode, [])[:3]:
                notes.append(f"- {package.name}, {mode}: {one}".replace("|", "\\|"))
            if result.untraced.get(mode):
                names = ", ".join(result.untraced[mode][:5])
                notes.append(f"- {package.name}, {mode}: no load of {names}")
    for result in results:
        if result.not_run is not None:
            notes.append(
                f"- {result.package.name} was not run: {result.not_run}".replace("|", "\\|")
            )
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="repeatable")
    parser.add_argument("--all", action="store_true", help="with those marked optional")
    parser.add_argument("--mode", action="append", choices=MODES, help="repeatable; default: all")
    parser.add_argument("--python", default=sys.executable, metavar="EXE", help="default: this one")
    parser.add_argument(
        "--venv", type=os.path.abspath, metavar="DIR", help="use this environment as it is"
    )
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    parser.add_argument("--append", action="store_true", help="put it there, below what there is")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "src"))
    listed = packages()
    unknown = set(options.only or ()) - {package.name for package in listed}
    if unknown:
        parser.error(f"{sorted(unknown)[0]!r} is not in {LIST.name}")
    if options.only:
        chosen = [package for package in listed if package.name in options.only]
    else:
        chosen = [package for package in listed if options.all or not package.optional]
    modes = tuple(options.mode or MODES)
    if options.venv is not None:
        python, missing = Path(options.venv, "bin", "python"), {}
    else:
        python, missing = environment(listed, options.python)
    installed = versions(python)
    results = []
    for package in chosen:
        if package.optional and options.venv is None:
            try:
                pip(python, *package.requires)
                installed = versions(python)
            except NotMade as error:
                missing[package.name] = str(error)
        if package.name in missing:
            results.append(Result(package, not_run=missing[package.name]))
            continue
        result = compare(python, package, modes)
        named = package.of or next(iter(package.requires), package.name).partition("<")[0]
        result.version = installed.get(named.lower().replace("_", "-").replace(".", "-"), "")
        results.append(result)
        verdict = "same" if result.good else "DIFFERENT"
        print(f"{package.name} {result.version}: {result.modules} modules, "
              f"{result.not_run or verdict}", flush=True)  # fmt: skip
        for mode in modes:
            for line in result.different[mode][:8]:
                print(f"    {mode}: {line}", flush=True)
            if result.untraced[mode]:
                print(f"    {mode}: not in the trace: {result.untraced[mode][:12]}", flush=True)
    asked = [str(python), "-c", "import platform; print(platform.python_version())"]
    number = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    text = table(results, number, modes)
    if options.append:
        text = f"{page.read(PAGE, SECTION)}\n\n{text}"
    if options.write or options.append:
        page.write(PAGE, SECTION, text)
    else:
        print(f"\n{text}")
    return 0 if all(result.good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
