"""Where the traced process runs, for the trace's header: it may be sent from another container.

Only the standard library, files and the environment: the SDK's resource detectors run where it is
loaded, in the process that sends, and describe that one. Of the environment only what OpenTelemetry
defines for being published is taken: the parent span, and attributes that name a service or a place.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from importtrace.exporters.declared import declared

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTAINER = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
_NAMESPACE = "var/run/secrets/kubernetes.io/serviceaccount/namespace"
_LARGEST = 1 << 18


def describe(environ: Mapping[str, str], root: str = "/") -> dict[str, Any]:
    """Keys of a trace header: ``host``, ``resource``, and ``traceparent``, ``tracestate`` if given.

    ``root`` is where the file system begins. What cannot be found out is absent; never raises.
    """
    host = _host()
    out = declared(environ, host)
    found = _container(root) | _pod(environ, root, host)
    if found or "resource" in out:
        out["resource"] = found | out.get("resource", {})
    return out


def _container(root: str) -> dict[str, str]:
    """The id that Docker, containerd, CRI-O and Podman give: in the control group's name (v1), else
    in the path of what is mounted over /etc/hostname and its like (v2)."""
    for line in _read(root, "proc/self/cgroup").splitlines():
        found = _CONTAINER.search(line.rpartition("/")[2])
        if found:
            return {"container.id": found[0]}
    for line in _read(root, "proc/self/mountinfo").splitlines():
        fields = line.split(" ")
        if len(fields) > 4 and fields[4] in ("/etc/hostname", "/etc/resolv.conf", "/etc/hosts"):
            found = _CONTAINER.search(fields[3])
            if found:
                return {"container.id": found[0]}
    return {}


def _pod(environ: Mapping[str, str], root: str, host: str | None) -> dict[str, str]:
    if not environ.get("KUBERNETES_SERVICE_HOST"):
        return {}
    out = {}
    namespace = _read(root, _NAMESPACE).strip()
    if namespace:
        out["k8s.namespace.name"] = namespace
    # a pod's host name is its own, unless it uses the node's network
    if environ.get("HOSTNAME") and environ["HOSTNAME"] == host:
        out["k8s.pod.name"] = environ["HOSTNAME"]
    for name in ("proc/self/cgroup", "proc/self/mountinfo"):
        found = _POD.search(_read(root, name))
        if found:
            out["k8s.pod.uid"] = found[1].replace("_", "-")
            break
    return out


def _host() -> str | None:
    try:
        return os.uname().nodename or None
    except (AttributeError, OSError):  # Windows
        return os.environ.get("COMPUTERNAME")


def _read(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as source:
            return source.read(_LARGEST)
    except OSError:
        return ""
