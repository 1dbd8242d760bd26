"""The playbooks as their user runs them, on a known fleet and on a newcomer."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import PROGRAMS, ROOT, Done, Lab

pytestmark = pytest.mark.lab

SITE = ("-i", "inventory/lab", "playbooks/site.yml")

RESET = ("-i", "inventory/lab", "playbooks/reset.yml")

RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", re.MULTILINE)

STATE = r"""
cd /
find etc usr/local var/lib/fliswarm-provision -type f \
  ! -path 'etc/ssh/ssh_host*' ! -path 'etc/*-' ! -path 'etc/shadow' \
  ! -path 'etc/resolv.conf' ! -path 'etc/machine-id' ! -path 'etc/mtab' \
  ! -path 'etc/docker/key.json' -print0 |
  sort -z | xargs -0 stat -c '%n %a %U %G' --
find etc/docker etc/systemd etc/sudoers.d etc/udev etc/tmpfiles.d usr/local -type f \
  ! -path 'etc/docker/key.json' ! -path 'etc/docker/*/client.*' \
  ! -path 'etc/docker/tls/server.*' -print0 |
  sort -z | xargs -0 md5sum --
dpkg-query --show --showformat '${Package} ${db:Status-Status}\n'
getent passwd sdss; getent group sdss docker
systemctl is-active docker docker.socket; systemctl is-enabled docker
docker info --format '{{.LiveRestoreEnabled}} {{json .RegistryConfig.IndexConfigs}}'
docker ps --all --format '{{.Names}}'
"""
"""Prints all that the playbook has a hand in, of what is not different by nature."""


def state(lab: Lab, name: str) -> str:
    """Return all that the playbook has a hand in on a host."""
    done = lab.ssh(name, f"sudo sh <<'END'\n{STATE}\nEND")
    assert "etc/sudoers" in done.out, done.err
    return done.out


def results(lab: Lab, file: Path, *options: str) -> list[dict[str, Any]]:
    """Run the site's playbook; return what each task changed, in a comparable form."""
    done = lab.run(
        *("ansible-playbook", *SITE, "--diff", *options),
        limit=900,
        RESULTS=str(file),
        ANSIBLE_CALLBACK_PLUGINS=str(Path(__file__).parent / "callbacks"),
        ANSIBLE_CALLBACKS_ENABLED="results",
    )
    assert done.code == 0, done.out
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def recap(done: Done) -> dict[str, int]:
    """Return the number of changes by host."""
    found = RECAP.findall(done.out)
    assert done.code == 0, done.out
    return {host: int(changed) for host, changed in found}


class Newcomer:
    """A camera computer beside those of the fleet.

    Parameters
    ----------
    lab
        Where it is.
    name
        Its name in the inventory.
    """

    def __init__(self, lab: Lab, name: str) -> None:
        self._lab = lab
        self.name = name
        self.site = ("ansible-playbook", *SITE, "--limit", name)
        """Runs the playbook for it alone."""
        self.bare = state(lab, name)
        """What it is before anything is done to it."""

    def make_bare(self) -> None:
        """Make it anew, without anything on it."""
        with self._lab.outer() as outer:
            outer.containers.get(f"fliswarm-lab-{self.name}").remove(force=True)
            outer.volumes.get(f"fliswarm-lab-{self.name}").remove(force=True)
        count = self.name.removeprefix("gfa")
        done = self._lab.run("ansible-playbook", "lab/up.yml", LAB_NODES=count)
        assert done.code == 0, done.out


@pytest.fixture(scope="module")
def newcomer(fleet: Lab) -> Iterator[Newcomer]:
    """Yield a camera computer that is bare at first."""
    count = len(fleet.nodes)
    name = f"gfa{count + 1}"
    added = fleet.run("ansible-playbook", "lab/up.yml", LAB_NODES=str(count + 1))
    assert added.code == 0, added.out
    yield Newcomer(fleet, name)
    back = fleet.run("ansible-playbook", "lab/up.yml", LAB_NODES=str(count))
    assert back.code == 0, back.out
    # The controller is to forget the host that is gone.
    done = fleet.run("ansible-playbook", *SITE, limit=600)
    assert done.code == 0, done.out


def test_a_second_run_changes_nothing(fleet: Lab) -> None:
    changed = recap(fleet.run("ansible-playbook", *SITE, limit=900))
    assert set(changed) == {"localhost", "lab-manager", *fleet.nodes}
    assert not any(changed.values()), changed


def test_a_phase_runs_by_itself(fleet: Lab) -> None:
    """Where there is nothing to do, each of them finds that."""
    for role in ("docker_engine", "registry", "controller", "camera_host"):
        for phase in ("preflight", "configure", "service"):
            tags = ("--tags", f"{role}_{phase}")
            changed = recap(fleet.run("ansible-playbook", *SITE, *tags))
            assert not any(changed.values()), (tags, changed)


def cameras(lab: Lab) -> list[str]:
    """Return process and start of each camera's container, as its host tells them."""
    what = "{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}"
    asked = [
        lab.ssh(name, f"sudo docker inspect --format '{what}' flicamera-{name}")
        for name in lab.nodes
    ]
    assert all(done.code == 0 for done in asked), asked
    return [done.out for done in asked]


def test_the_transport_changes_beneath_an_exposure(fleet: Lab) -> None:
    """To each of the others and back: a variable and a run."""
    before = cameras(fleet)
    with ThreadPoolExecutor(1) as pool:
        # Longer than the first run that changes something takes, on whatever machine.
        began = time.monotonic()
        recap(fleet.run("ansible-playbook", *SITE, limit=900))
        seconds = str(30 + 3 * (time.monotonic() - began))
        exposing = ("talk", "--strict", "expose", seconds)
        exposure = pool.submit(fleet.fliswarm, *exposing, limit=1200)
        for transport in ("ssh", "tcp", "tls"):
            changed = recap(
                fleet.run("ansible-playbook", *SITE, limit=900, LAB_TRANSPORT=transport)
            )
            assert all(changed[name] for name in ("lab-manager", *fleet.nodes)), changed
            assert transport != "ssh" or not exposure.done()
            assert cameras(fleet) == before, transport
            known = fleet.fleet()
            assert all(node["docker_alive"] for node in known.values()), known
        assert exposure.result().code == 0, exposure.result()
    for name in fleet.nodes:
        # Who is in the group docker, as ssh needs it, is root.
        assert "docker" not in fleet.ssh(name, "id -Gn sdss").out.split()


def test_a_dry_run_shows_what_the_run_does(
    fleet: Lab, newcomer: Newcomer, tmp_path: Path
) -> None:
    """On a bare host, and adding it touches no other node."""
    said = results(fleet, tmp_path / "said", "--check")
    assert state(fleet, newcomer.name) == newcomer.bare
    did = results(fleet, tmp_path / "did")
    assert said == did
    assert {change["host"] for change in did} == {newcomer.name, "lab-manager"}
    hosts = [diff for change in did for diff in change["diff"]]
    assert any("tlsverify" in str(diff) for diff in hosts)
    assert "PRIVATE KEY" not in str(did)


def test_the_new_camera_is_launched_and_answers(fleet: Lab, newcomer: Newcomer) -> None:
    done = fleet.fliswarm("reconnect", "-n", newcomer.name)
    assert done.code == 0, done.err
    talked = fleet.fliswarm("talk", "-n", newcomer.name, "status")
    assert talked.code == 0, talked.err


def test_a_node_is_given_back_as_it_was_found(fleet: Lab, newcomer: Newcomer) -> None:
    # Beneath its camera: an old engine then takes the volumes for mounted.
    assert fleet.ssh(newcomer.name, "sudo systemctl restart docker").code == 0
    reset = ("ansible-playbook", *RESET, "--limit", newcomer.name)
    part = fleet.run(*reset, "--tags", "docker_engine")
    assert part.code != 0
    assert "Remedy: add the tag containers" in part.out
    done = fleet.run(*reset, limit=600)
    assert done.code == 0, done.out
    assert state(fleet, newcomer.name) == newcomer.bare
    assert recap(fleet.run(*reset, limit=600))[newcomer.name] == 0
    # Of the others nothing was taken.
    others = fleet.fliswarm("talk", "-n", ",".join(fleet.nodes), "status")
    assert others.code == 0, others.err


def test_an_interrupted_run_is_finished_by_the_next(
    fleet: Lab, newcomer: Newcomer
) -> None:
    """Killed at any moment; ``tests.integration.interruptions`` kills more of them."""
    began = time.monotonic()
    done = fleet.run(*newcomer.site, limit=600)
    whole = time.monotonic() - began
    assert done.code == 0, done.out
    wanted = state(fleet, newcomer.name)
    newcomer.make_bare()
    moment = random.uniform(1.5, whole)  # noqa: S311  any moment will do
    kill_after(newcomer.site, moment)
    again = fleet.run(*newcomer.site, limit=600)
    assert again.code == 0, f"killed after {moment:.1f} s\n{again.out}"
    assert state(fleet, newcomer.name) == wanted, f"killed after {moment:.1f} s"
    assert recap(fleet.run(*newcomer.site, limit=600))[newcomer.name] == 0


def kill_after(words: tuple[str, ...], seconds: float) -> None:
    """Run a program of the virtual environment, and kill it with all its children."""
    process = subprocess.Popen(
        [str(PROGRAMS / words[0]), *words[1:]],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
