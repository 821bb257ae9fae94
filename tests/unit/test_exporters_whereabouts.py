"""Where a process runs, read from files as containers have them."""

from __future__ import annotations

import os
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importtrace.exporters.declared import declared
from importtrace.exporters.whereabouts import describe

ID = "3f9e" * 16
POD = "0a1b2c3d-1111-2222-3333-444455556666"


@pytest.fixture
def machine(tmp_path):
    """Writes the files of a file system that begins elsewhere."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path)

    return write


def test_outside_of_a_container_there_is_only_the_host(machine):
    """Nothing is invented."""
    root = machine(proc__self__cgroup="0::/user.slice/session-1.scope\n")
    assert describe({}, root) == {
        "host": os.uname().nodename,
        "resource": {"host.name": os.uname().nodename},
    }


@pytest.mark.parametrize(
    ("cgroup", "mountinfo"),
    [
        (f"11:memory:/docker/{ID}\n", ""),
        (f"1:name=systemd:/system.slice/docker-{ID}.scope\n", ""),
        (f"0::/kubepods/burstable/pod{POD}/cri-containerd-{ID}.scope\n", ""),
        (
            "0::/\n",
            f"1 2 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 a b\n",
        ),
        ("0::/\n", f"1 2 0:5 /containers/overlay/{ID}/userdata/hosts /etc/hosts rw - tmpfs a b\n"),
    ],
    ids=["cgroup v1", "systemd", "kubernetes", "v2 docker", "v2 podman"],
)
def test_the_id_of_a_container(machine, cgroup, mountinfo):
    """As each runtime shows it to what runs inside."""
    root = machine(proc__self__cgroup=cgroup, proc__self__mountinfo=mountinfo)
    assert describe({}, root)["resource"]["container.id"] == ID


def test_an_image_layer_s_digest_is_no_container(machine):
    """Overlay mounts are full of such numbers."""
    line = f"1 2 0:5 / / rw - overlay overlay lowerdir=/var/lib/layers/{ID}/fs\n"
    root = machine(proc__self__cgroup="0::/\n", proc__self__mountinfo=line)
    assert "container.id" not in describe({}, root)["resource"]


def test_a_pod(machine):
    """Name, namespace and uid, without asking any interface for them."""
    root = machine(
        proc__self__cgroup=f"0::/kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice/x\n",
        var__run__secrets__kubernetes__io__x="",
    )
    folder = os.path.join(root, "var/run/secrets/kubernetes.io/serviceaccount")
    os.makedirs(folder)
    with open(os.path.join(folder, "namespace"), "w") as file:
        file.write("prod")
    host = os.uname().nodename
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": host}
    resource = describe(environ, root)["resource"]
    assert resource["k8s.pod.uid"] == POD
    assert resource["k8s.namespace.name"] == "prod"
    assert resource["k8s.pod.name"] == host
    assert "k8s.pod.name" not in describe(environ | {"HOSTNAME": "node-5"}, root)["resource"]


def test_what_the_environment_declares_wins_and_nothing_else_of_it_is_taken(machine):
    """Attributes that name a service or a place; no other value leaves the process."""
    given = "service.version=1.2,host.name=h%20x,secret=hush,k8s.pod.name=p,broken"
    environ = {"OTEL_RESOURCE_ATTRIBUTES": given, "OTEL_SERVICE_NAME": "shop", "TOKEN": "t"}
    found = describe(environ | {"TRACEPARENT": "x", "TRACESTATE": ""}, machine())
    assert found["resource"] == {
        "host.name": "h x",
        "service.version": "1.2",
        "k8s.pod.name": "p",
        "service.name": "shop",
    }
    assert found["traceparent"] == "x"
    assert "tracestate" not in found


@given(st.text(st.sampled_from("%0aAfFgz+_ü 1/\0"), max_size=12))
def test_percent_signs_are_decoded_as_the_standard_library_does(text: str) -> None:
    """Without loading it: at install() a file `urllib.py` may be the user's."""
    resource = declared({"OTEL_RESOURCE_ATTRIBUTES": f"service.version={text}"}, None)["resource"]
    assert resource["service.version"] == unquote(text.strip())
