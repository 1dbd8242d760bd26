"""A whole site in one place: an inventory, Ansible, the service, computers in memory.

Ansible is real and so is the rendering of the inventory; the playbooks are small ones,
whose hosts are folders of this computer. The service is real, and its engines are
twins, found by their addresses as real ones are.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fliswarm import config
from fliswarm.host.memory import MemoryHost
from fliswarm.model import Fleet, Node
from fliswarm.service import Service
from tests.unit.support.camera import RawCamera
from tests.unit.support.live import Computer
from tests.unit.support.modules import ROOT
from tests.unit.support.site import free_port
from tests.unit.support.wait import until

ROLE = ROOT / "collection/roles/controller"

PROGRAM = """\
import sys
from dataclasses import replace
from pathlib import Path
import fliswarm.cli.site
from fliswarm.cli import main
from fliswarm.site import provision, render
from fliswarm.site.share import share
folder = Path(sys.argv.pop(1))
small = lambda: replace(share(), playbooks=folder / "playbooks")
provision.share = render.share = small
fliswarm.cli.site.default_socket = lambda: folder / "c.sock"
main()
"""
"""The program with the small playbooks, and the socket of the test's controller."""

SITE = """\
- hosts: manager:nodes
  gather_facts: false
  tasks:
    - name: Write what a host is to have
      ansible.builtin.copy:
        content: "{{ host_has | default('what all have') }}\\n"
        dest: "FOLDER/hosts/{{ ansible_host }}"
        mode: "0600"
- hosts: manager
  gather_facts: false
  vars_files: [ROLE/vars/main.yml]
  tasks:
    - name: Configure the controller
      ansible.builtin.copy:
        content: "{{ lookup('ansible.builtin.template', template) }}"
        dest: FOLDER/fliswarm.yaml
        mode: "0600"
      vars: {template: ROLE/templates/fliswarm.yaml.j2}
      register: configured
    - name: Let it follow
      ansible.builtin.command: PYTHON -m fliswarm -H unix://FOLDER/c.sock reload
      changed_when: false
      when:
        - configured is changed and not ansible_check_mode
        - "'FOLDER/c.sock' is exists"
- hosts: manager
  gather_facts: false
  tags: [site_computers]
  tasks:
    - name: Name those that have left
      sdss.fliswarm.site_computers:
        store: FOLDER/store
        computers: "{{ hostvars | sdss.fliswarm.site_members(groups) }}"
        forget: "{{ [site_forget | default([], true)] | flatten }}"
        warn: true
"""

RESET = """\
- hosts: nodes
  gather_facts: false
  tasks:
    - name: Give a host back
      ansible.builtin.file:
        path: "FOLDER/hosts/{{ ansible_host }}"
        state: absent
"""


@dataclass(frozen=True)
class Done:
    """A program that has ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it printed as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


class WholeSite:
    """Computers by their addresses, and an inventory that may be edited."""

    def __init__(self, folder: Path, computers: dict[str, Computer], port: int) -> None:
        self.folder = folder
        self.computers = computers
        self.port = port
        self.running: asyncio.Task[None] | None = None
        self.nodes: dict[str, dict[str, Any]] = {}
        defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text("utf-8"))
        self.vars: dict[str, Any] = {
            **defaults,
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "fliswarm_observatory": "APO",
            "fliswarm_docker_transport": "tcp",
            "fliswarm_registry": "hub:5000",
            "fliswarm_port": port,
            "controller_actor": {
                "host": "127.0.0.1",
                "port": free_port(),
                "log_dir": "",
            },
            "controller_options": {"control": {"socket": str(folder / "c.sock")}},
        }
        for name, text in (("site", SITE), ("reset", RESET)):
            text = text.replace("FOLDER", str(folder)).replace("ROLE", str(ROLE))
            file = folder / "playbooks" / f"{name}.yml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text.replace("PYTHON", sys.executable), "utf-8")
        (folder / "hosts").mkdir()

    def address(self, number: int) -> str:
        """Return the address of a computer."""
        return list(self.computers)[number - 1]

    def write(self) -> Path:
        """Write the inventory; return where it is."""
        inventory = {
            "all": {"vars": self.vars},
            "manager": {"hosts": {"hub": {"ansible_host": "127.0.0.1"}}},
            "nodes": {"children": {"gfa": {"hosts": self.nodes}}},
        }
        file = self.folder / "inventory" / "hosts.yml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(inventory, sort_keys=False), "utf-8")
        return file

    async def fliswarm(self, verb: str, *words: str, given: str = "") -> Done:
        """Run the program over the site as it is now, to its end."""
        command = ["-c", PROGRAM, str(self.folder), verb, "-i", str(self.write())]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *command, *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env={**os.environ, "ANSIBLE_HOME": str(self.folder / ".ansible")},
        )
        out, err = await process.communicate(given.encode())
        assert process.returncode is not None
        done = Done(process.returncode, out.decode(), err.decode())
        assert "Traceback" not in done.out + done.err, done.err
        return done

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Fail when anything on a computer or a host is not as before."""
        before = self.all()
        yield
        assert self.all() == before

    def all(self) -> tuple[dict[str, list[Any]], dict[str, str]]:
        """Return all containers and all files of hosts."""
        containers = {
            address: list(computer.daemon.containers.values())
            for address, computer in self.computers.items()
        }
        files = {f.name: f.read_text() for f in (self.folder / "hosts").iterdir()}
        return containers, files

    def ids(self, number: int) -> list[str]:
        """Return the ids of the containers of one computer."""
        return list(self.computers[self.address(number)].daemon.containers)

    def names(self, number: int) -> dict[str, str]:
        """Return our containers on one computer, with their states."""
        return self.computers[self.address(number)].names

    # The controller

    def _load(self) -> Fleet:
        return config.load(self.folder / "fliswarm.yaml", environment={})

    def _computer(self, node: Node) -> Computer:
        return self.computers[node.host]

    async def start(self) -> None:
        """Start the controller, as a first run over the site does at its end."""
        service = Service(
            self._load,
            lambda node: self._computer(node).engine(node),
            lambda node: MemoryHost(node.name),
            self.folder / "state",
        )
        self.service = service
        self.running = asyncio.create_task(service.run(self.folder / "c.sock"))
        socket = self.folder / "c.sock"
        await until(lambda: self.running.done() or socket.exists(), "the controller")  # type: ignore[union-attr]

    async def up(self) -> None:
        """Provision the site, start the controller, launch the cameras."""
        done = await self.fliswarm("provision")
        assert done.code == 0, done.out + done.err
        await self.start()
        fleet = self.service._fleet
        results = await fleet.apply(fleet.select(), lambda _: None)
        assert not [r.error for r in results if r.error is not None]

    async def stop(self) -> None:
        """End the controller."""
        if self.running is not None:
            self.running.cancel()
            with suppress(asyncio.CancelledError):
                await self.running
            self.running = None


@asynccontextmanager
async def whole_site(folder: Path, computers: int = 3) -> AsyncIterator[WholeSite]:
    """Yield a site with some computers, of which the first two are nodes."""
    port = free_port()
    cameras = []
    found = {}
    for number in range(1, computers + 1):
        camera = RawCamera()
        camera.host = address = f"127.0.0.{10 + number}"
        await camera.start(port)
        cameras.append(camera)
        found[address] = Computer(camera, address)
    site = WholeSite(folder, found, port)
    site.nodes = {f"gfa{n}": {"ansible_host": site.address(n)} for n in (1, 2)}
    try:
        yield site
    finally:
        await site.stop()
        for camera in cameras:
            await camera.close()
