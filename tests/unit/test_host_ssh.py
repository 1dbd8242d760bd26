"""A host's ssh, in this process: reached as the system's ssh would reach it."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from fliswarm.errors import HostError
from fliswarm.host.ssh import SshHosts
from fliswarm.model import Node
from fliswarm.net import ssh

pytestmark = pytest.mark.skipif(not shutil.which("ssh"), reason="there is no ssh")


class Guest(paramiko.ServerInterface):
    """Lets one key in, and answers each command with who gave it."""

    def __init__(self, key: paramiko.PKey) -> None:
        self._key = key
        self._user = ""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._user = username
        same = key.asbytes() == self._key.asbytes()
        return int(AUTH_SUCCESSFUL if same else AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(OPEN_SUCCEEDED)

    def check_channel_exec_request(
        self, channel: paramiko.Channel, command: bytes
    ) -> bool:
        def answer() -> None:
            channel.sendall(f"{self._user}: {command.decode()}".encode())
            channel.send_exit_status(0)
            # Its end may come before the word that it began; its close may not.
            channel.shutdown_write()

        threading.Thread(target=answer, daemon=True).start()
        return True


class Host:
    """The sshd of one node, and the files of whoever goes there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = paramiko.ECDSAKey.generate()
        self.own = paramiko.ECDSAKey.generate()
        self.own.write_private_key_file(str(folder / "id"))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            self._transports.append(transport)
            transport.start_server(event=threading.Event(), server=Guest(self.own))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for transport in self._transports:
            transport.close()

    def known_as(self, name: str) -> None:
        line = f"{name} {self.key.get_name()} {self.key.get_base64()}\n"
        (self.folder / "known").write_text(line, "utf-8")

    def configure(self, *lines: str) -> None:
        every = [
            "Host gfa1",
            f"IdentityFile {self.folder}/id",
            "IdentitiesOnly yes",
            f"UserKnownHostsFile {self.folder}/known",
            "GlobalKnownHostsFile /dev/null",
            *lines,
        ]
        (self.folder / "config").write_text("\n".join(every) + "\n", "utf-8")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("FLISWARM_SSH_COMMAND", f"ssh -F {tmp_path}/config")
    found = Host(tmp_path)
    yield found
    found.close()


async def mark(engine: str = "tcp://gfa1:2375", port: int = 22) -> str:
    hosts = SshHosts(threads=1)
    try:
        node = Node("gfa1", "gfa1", engine, user="sdss", ssh_port=port)
        return await hosts(node).mark()
    finally:
        hosts.close()


async def test_what_the_configuration_of_ssh_says(host: Host) -> None:
    host.configure("HostName 127.0.0.1", f"Port {host.port}")
    host.known_as(f"[127.0.0.1]:{host.port}")
    assert (await mark()).startswith("sdss: cat /proc")


async def test_the_port_of_the_node(host: Host) -> None:
    host.configure("HostName 127.0.0.1")
    host.known_as(f"[127.0.0.1]:{host.port}")
    assert (await mark(port=host.port)).startswith("sdss: ")


async def test_the_user_and_port_of_an_engine_behind_ssh(host: Host) -> None:
    host.configure("HostName 127.0.0.1")
    host.known_as(f"[127.0.0.1]:{host.port}")
    assert (await mark(f"ssh://you@gfa1:{host.port}")).startswith("you: ")


async def test_a_host_key_under_another_name(host: Host) -> None:
    host.configure("HostName 127.0.0.1", f"Port {host.port}", "HostKeyAlias camera")
    host.known_as("camera")
    assert (await mark()).startswith("sdss: ")


async def test_a_way_through_a_program(host: Host) -> None:
    pump = host.folder / "pump.py"
    pump.write_text(
        "import os, socket, sys, threading\n"
        "way = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def out():\n"
        "    while data := way.recv(4096):\n"
        "        os.write(1, data)\n"
        "threading.Thread(target=out, daemon=True).start()\n"
        "while data := os.read(0, 4096):\n"
        "    way.sendall(data)\n",
        "utf-8",
    )
    host.configure(
        "HostName 127.0.0.1",
        f"Port {host.port}",
        f"ProxyCommand {sys.executable} {pump} %h %p",
    )
    host.known_as(f"[127.0.0.1]:{host.port}")
    assert (await mark()).startswith("sdss: ")


async def test_a_host_that_is_not_known_or_another(host: Host) -> None:
    host.configure("HostName 127.0.0.1", f"Port {host.port}")
    host.known_as("somebody-else")
    with pytest.raises(HostError, match=r"gfa1: ssh sdss@gfa1: .*not found in known"):
        await mark()
    host.key, other = paramiko.ECDSAKey.generate(), host.key
    line = f"[127.0.0.1]:{host.port} {other.get_name()} {other.get_base64()}\n"
    (host.folder / "known").write_text(line, "utf-8")
    with pytest.raises(HostError, match=ssh.OTHER_HOST_KEY):
        await mark()


async def test_files_of_ssh_that_are_wrong(host: Host) -> None:
    host.configure("Nonsense yes")
    with pytest.raises(HostError, match=r"gfa1: ssh sdss@gfa1: .*(?i:nonsense)"):
        await mark()


@pytest.mark.parametrize(
    ("values", "command"),
    [
        ({}, None),
        ({"proxycommand": ["none"], "proxyjump": ["none"]}, None),
        ({"proxycommand": ["nc %h %p"]}, "nc h 22"),
        ({"proxyjump": ["me@hub"]}, "ssh -F c -W '[h]:22' ssh://me@hub"),
        ({"proxyjump": ["a,b:5"]}, "ssh -F c -J a -W '[h]:22' ssh://b:5"),
        ({"proxyjump": ["ssh://b"]}, "ssh -F c -W '[h]:22' ssh://b"),
    ],
)
def test_the_way_to_a_host(
    values: dict[str, list[str]], command: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "command", lambda: ["ssh", "-F", "c"])
    assert ssh.proxy(values, "h", 22) == command


async def test_no_ssh_at_all(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLISWARM_SSH_COMMAND", "no-such-program")
    monkeypatch.setenv("HOME", str(host.folder))
    with pytest.raises(HostError, match=r"gfa1: ssh sdss@127.0.0.1: "):
        hosts = SshHosts(threads=1)
        node = Node("gfa1", "127.0.0.1", "tcp://h:1", user="sdss", ssh_port=host.port)
        await hosts(node).mark()
    hosts.close()
