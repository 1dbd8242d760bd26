"""The actor protocol on the manager, as a plain TCP client sees it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Lab

pytestmark = pytest.mark.lab


class Client:
    """A client that knows nothing but lines."""

    def __init__(self, address: str, port: int = 19996) -> None:
        self._socket = socket.create_connection((address, port), timeout=60)
        self._lines = self._socket.makefile("r", encoding="utf-8", newline="\n")
        first = self._lines.readline()
        match = re.match(r"([1-9]\d*) 0 i yourUserID=\1; num_users=\d+\n", first)
        assert match, first
        self.user = int(match[1])

    def command(self, line: str) -> list[str]:
        """Give a numbered command; return its replies without user and number."""
        number = line.split()[0]
        self._socket.sendall(line.encode() + b"\n")
        replies: list[str] = []
        while not replies or replies[-1][0] not in ":f":
            reply = self._lines.readline()
            assert reply, f"the connection ended; so far: {replies}"
            user, answered, text = reply.split(" ", 2)
            if int(user) == self.user and answered == number:
                replies.append(text.rstrip("\n"))
        return replies

    def close(self) -> None:
        """Leave."""
        self._lines.close()
        self._socket.close()


@pytest.fixture
def client(fleet: Lab) -> Iterator[Client]:
    client = Client(fleet.address("manager"))
    yield client
    client.close()


def test_talk_to_one_camera(client: Client) -> None:
    replies = client.command("1 talk -n gfa1 status")
    assert replies[0] == "> "
    assert replies[-1] == ": "
    status = next(r for r in replies if r.startswith("i status="))
    values = status.removeprefix("i status=").split(",")
    assert values[:2] == ["gfa1", "gfa1"]
    # sender, camera, model, serial, two revisions, two binnings, two areas of four
    # corners each, two temperatures, the time left, the cooler's power
    assert len(values) == 1 + 7 + 8 + 4


def test_status_has_the_keywords_in_order(client: Client, fleet: Lab) -> None:
    replies = client.command("2 status")
    assert replies[0] == "> "
    assert replies[1] == f"i enabledNodes={','.join(fleet.nodes)}"
    for node in fleet.nodes:
        address = fleet.address(node)
        found = f"i node={node},{address},https://{address}:2376,T,T"
        at = replies.index(found)
        assert re.fullmatch(rf"d container={node},[0-9a-f]{{12}}", replies[at + 1])
        assert replies[at + 2] == f"d volume={node},data,T,/data"
    assert replies[-1] == ": "


def test_ping(client: Client) -> None:
    assert client.command("3 ping") == ["> ", ": text=Pong."]


def test_exposure_on_all_cameras_bundles_the_files_before_the_end(
    client: Client, fleet: Lab
) -> None:
    fleet.ssh("manager", "sudo find /data -name '*-0007.fits*' -delete")
    replies = client.command("4 talk -c gfa -- expose -n 7 1.0")
    assert replies[-1] == ": "
    assert replies[-2].startswith("i filename_bundle=")
    files = replies[-2].removeprefix("i filename_bundle=").split(",")
    assert len(files) == len(fleet.nodes)
    for node in fleet.nodes:
        assert any(r.startswith(f"i exposure_state={node},{node},") for r in replies)
        (file,) = [file for file in files if f"-{node}-0007.fits" in file]
        assert f"i filename={node},{node},{file}" in replies
        # The volume of the nodes is the manager's disk: the file is there, and whole.
        head = fleet.ssh("manager", f"head -c 30 {file}").out
        assert head == "SIMPLE  =                    T"


def test_the_guider_s_sequence(client: Client, fleet: Lab) -> None:
    """Exposures one right after the other, on all cameras, with their bundles."""
    fleet.ssh("manager", "sudo find /data -name '*-03[0-9][0-9].fits*' -delete")
    for number in range(300, 303):
        command = f"{number} talk -c gfa -- expose -n {number} 0.5"
        replies = client.command(command)
        assert replies[-1] == ": ", replies
        bundle = replies[-2].removeprefix("i filename_bundle=").split(",")
        assert len(bundle) == len(fleet.nodes)
        assert all(f"-0{number}.fits" in file for file in bundle)


def test_a_display_s_sequence(client: Client, fleet: Lab) -> None:
    """Look, leave a camera out, take it in again, reconnect it, ask for help."""
    assert client.command("1 status")[-1] == ": "
    assert client.command("2 disable gfa2") == ["> ", ": "]
    others = ",".join(name for name in fleet.nodes if name != "gfa2")
    assert client.command("3 status")[1] == f"i enabledNodes={others}"
    assert client.command("4 enable gfa2") == ["> ", ": "]
    reconnected = client.command("5 reconnect -n gfa2")
    assert reconnected[-1] == ": "
    assert 'd text="gfa2: reconnected to device on port 19995."' in reconnected
    assert any("reconnect" in line for line in client.command("6 help"))


def test_an_unknown_node_fails_and_suggests(client: Client) -> None:
    replies = client.command("5 talk -n gfa9 status")
    assert replies[-1].startswith("f error=\"no node 'gfa9'; did you mean 'gfa")
