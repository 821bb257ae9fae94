"""deploy/: names that the exporters really write, and files that their published schemas accept."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest

from importtrace import tracefile
from importtrace.exporters.plan import PlannedSpan, plan

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
OUR_NAMES = re.compile(r"\bpython\.(?:startup|import)\.[a-z_.]*[a-z]")
CHECKERS = ("kubernetes-validate>=1.30", "compose-spec>=0.2", "pyyaml>=6")


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> list[PlannedSpan]:
    """Of the start-up in examples/warmup_race, which fails on some releases, and one that always does."""
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "broken.py").write_text("from json import nothing_of_that_name\n")
    found = []
    for script in (ROOT / "examples" / "warmup_race" / "service.py", folder / "broken.py"):
        file = folder / f"{script.stem}.jsonl"
        kept = {name: value for name, value in os.environ.items() if "IMPORTTRACE" not in name}
        subprocess.run(
            [
                sys.executable,
                "-m",
                "importtrace",
                "run",
                "--log",
                "off",
                "-o",
                str(file),
                str(script),
            ],
            env=kept,
            capture_output=True,
            timeout=60,
            check=False,
        )
        found += plan(tracefile.read(str(file)), max_spans=2000, long_wait_ms=1)
    return found


def our_names(text: str) -> set[str]:
    return set(OUR_NAMES.findall(text))


def written() -> set[str]:
    """The names in the exporter's source."""
    source = (ROOT / "src" / "importtrace" / "exporters" / "plan.py").read_text()
    return our_names(source)


@pytest.mark.parametrize(
    "path",
    [DEPLOY / "collector.yaml", *MANIFESTS, ROOT / "docs" / "deploy.md"],
    ids=lambda path: path.name,
)
def test_only_names_are_used_that_the_exporter_writes(path: Path) -> None:
    """A query for a name that nobody writes finds nothing, and says nothing."""
    assert our_names(path.read_text()) <= written() | {"python.startup"}


def test_the_sampling_policies_match_what_a_failed_start_up_sends(spans: list[PlannedSpan]) -> None:
    """The status that `status_code` looks for; integers where `numeric_attribute` looks, as it must."""
    config = (DEPLOY / "collector.yaml").read_text()
    assert "status_codes: [ERROR]" in config
    assert any(span.error for span in spans)
    root = spans[0].attributes
    for key in re.findall(r"numeric_attribute:\n\s+key: (\S+)", config):
        assert type(root[key]) is int, key
    assert "numeric_attribute" in config


def test_the_queries_of_the_page_are_answered_by_a_failed_start_up(
    spans: list[PlannedSpan],
) -> None:
    """The tags that one is told to search for are on the spans of a failure."""
    names = {name for span in spans for name in span.attributes}
    page = (ROOT / "docs" / "deploy.md").read_text()
    asked = set(re.findall(r"`(python\.import\.cause[a-z._]*)=", page))
    assert asked
    assert asked <= names


def test_the_image_is_given_all_that_its_build_needs() -> None:
    """Whatever pyproject.toml packs; a file that is not copied makes `docker build` fail."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [*wheel["force-include"], *wheel["packages"], project["project"]["readme"]]
    needed += ["pyproject.toml", *project["project"]["license-files"]]
    steps = (DEPLOY / "image" / "Dockerfile").read_text().splitlines()
    copied = [source for step in steps if step[:5] == "COPY " for source in step.split()[1:-1]]
    assert [one for one in needed if not any(f"{one}/".startswith(f"{c}/") for c in copied)] == []


def test_the_config_map_is_the_collectors_configuration_word_for_word() -> None:
    """Two copies, since `kubectl apply` reads no other file."""
    manifest = (DEPLOY / "kubernetes" / "collector.yaml").read_text()
    _, _, rest = manifest.partition("  config.yaml: |\n")
    text = "".join(
        line.removeprefix("    ") for line in rest.split("---\n")[0].splitlines(keepends=True)
    )
    assert text == (DEPLOY / "collector.yaml").read_text()


CHECK = r"""
import json, re, sys
from pathlib import Path
import compose_spec, kubernetes_validate, yaml

deploy = Path(sys.argv[1])
seen = []
for path in sorted((deploy / "kubernetes").glob("*.yaml")):
    for document in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
        seen.append([path.name, document["kind"]])
bad = yaml.safe_load((deploy / "kubernetes" / "namespace.yaml").read_text()) | {"mtadata": {}}
try:
    kubernetes_validate.validate(bad, kubernetes_validate.latest_version(), strict=True)
    raise SystemExit("a misprint passes: the check checks nothing")
except kubernetes_validate.ValidationError:
    pass
text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (deploy / "compose.yaml").read_text())  # as Compose does
services = compose_spec.PyCompose.from_yaml(text).to_dict()["services"]
try:
    compose_spec.PyCompose.from_yaml(text.replace("depends_on: [jaeger]", "depends_onn: [jaeger]"))
    raise SystemExit("a misprint passes: the check checks nothing")
except ValueError:
    pass
config = yaml.safe_load((deploy / "collector.yaml").read_text())
print(json.dumps({"manifests": seen, "services": sorted(services), "collector": config}))
"""


@pytest.fixture(scope="module")
def checked() -> dict[str, Any]:
    """What the validators of Kubernetes' and Compose's schemas say, from an environment of their own."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = (
        Path(tempfile.gettempdir()) / f"importtrace-deploy-{user}-{sys.implementation.cache_tag}"
    )
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True, symlinks=os.name == "posix")
        pip = [str(python), "-m", "pip", "install", "--quiet", *CHECKERS]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=600)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
            pytest.skip(f"pip cannot install the validators: {reason}")
        (folder / "complete").touch()
    done = subprocess.run(
        [str(python), "-c", CHECK, str(DEPLOY)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.integration
def test_the_schemas_of_kubernetes_and_compose_accept_the_files(checked: dict[str, Any]) -> None:
    """Strictly: an unknown key is an error."""
    assert {name for name, _ in checked["manifests"]} == {path.name for path in MANIFESTS}
    assert checked["services"] == ["collector", "inject", "jaeger", "service"]


@pytest.mark.integration
def test_what_the_collectors_pipelines_use_is_configured(checked: dict[str, Any]) -> None:
    """The collector refuses to start where a pipeline names what is not there; tail sampling is in use."""
    config = checked["collector"]
    service = config["service"]
    for pipeline in service["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= set(config[kind])
    assert set(service["extensions"]) <= set(config["extensions"])
    assert "tail_sampling" in service["pipelines"]["traces"]["processors"]
    for policy in config["processors"]["tail_sampling"]["policies"]:
        assert policy["type"] in policy, "a policy's settings stand under its type"


@pytest.mark.integration
def test_the_collector_itself_accepts_its_configuration() -> None:
    """With the real binary, where there is one."""
    collector = shutil.which("otelcol-contrib")
    if collector is None:
        pytest.skip("no otelcol-contrib on PATH (no package registry has it)")
    command = [collector, "validate", "--config", str(DEPLOY / "collector.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
