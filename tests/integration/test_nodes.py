"""What provisioning and ``up`` leave on the nodes, asked of the nodes themselves."""

from __future__ import annotations

import json

import pytest

from tests.integration.conftest import Lab

pytestmark = pytest.mark.lab


def test_containers_are_privileged_labelled_and_from_the_managers_registry(
    fleet: Lab,
) -> None:
    for node in fleet.nodes:
        with fleet.engine(node) as engine:
            container = engine.containers.get(f"flicamera-{node}")
            host_config = container.attrs["HostConfig"]
            assert host_config["Privileged"] is True
            assert host_config["NetworkMode"] == "host"
            assert host_config["RestartPolicy"]["Name"] == "unless-stopped"
            registry = f"{fleet.address('manager')}:5000/"
            assert container.attrs["Config"]["Image"].startswith(registry)
            assert container.labels["org.sdss.fliswarm.node"] == node
            targets = {mount["Destination"] for mount in container.attrs["Mounts"]}
            assert {"/dev/bus/usb", "/data"} <= targets


def test_daemon_json_and_drop_in(fleet: Lab) -> None:
    for host in ("manager", *fleet.nodes):
        daemon = json.loads(fleet.ssh(host, "sudo cat /etc/docker/daemon.json").out)
        assert daemon["hosts"] == [
            "tcp://0.0.0.0:2376",
            "unix:///var/run/docker.sock",
        ]
        assert daemon["tlsverify"] is True
        assert "insecure-registries" not in daemon
        drop_in = "/etc/systemd/system/docker.service.d/docker.conf"
        lines = fleet.ssh(host, f"cat {drop_in}").out.splitlines()
        starts = [line for line in lines if line.startswith("ExecStart=")]
        assert lines[lines.index(starts[0]) - 1] == "[Service]"
        assert starts[0] == "ExecStart="
        assert starts[1].startswith("ExecStart=/usr/sbin/dockerd")
        assert "-H" not in starts[1].split()


def test_all_nodes_run_one_image(fleet: Lab) -> None:
    digests = {node["digest"] for node in fleet.fleet().values()}
    assert len(digests) == 1
    assert str(digests.pop()).startswith("sha256:")
