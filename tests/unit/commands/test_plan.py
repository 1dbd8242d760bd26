"""The controller's own part of a plan: asked by the control socket, and by it alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from fliswarm.commands.call import Call
from fliswarm.commands.plan import CONFIGURATION_LIMIT, packed, unpacked
from fliswarm.errors import UsageError
from fliswarm.faces.connection import LINE_LIMIT
from fliswarm.model import Node
from tests.unit.control.test_control import beside, replies
from tests.unit.support.client import Client
from tests.unit.support.observatory import observatory
from tests.unit.support.site import DATA, free_port


def file(nodes: dict[str, Node], **more: object) -> str:
    """Return a configuration of these nodes."""
    sections = {
        name: {
            "host": node.host,
            "port": node.port,
            "docker-client": node.engine,
            "category": node.category,
            "environment": dict(node.environment),
        }
        for name, node in nodes.items()
    }
    return yaml.safe_dump(
        {
            "observatory": "APO",
            "registry": "hub:5000",
            "image": "sdss/flicamera:latest",
            "nodes": {"APO": sections},
            "volumes": {DATA.name: {"driver": DATA.driver, "opts": dict(DATA.options)}},
            **more,
        },
        sort_keys=False,
    )


async def test_a_plan_changes_nothing_and_is_written_down_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fliswarm")
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path) as running:
        nodes = dict(running.desired.nodes)
        nodes["gfa2"] = replace(
            nodes["gfa1"],
            name="gfa2",
            port=free_port(),
            engine="tcp://gfa2:2375",
            environment={"TOKEN": "SECRET"},
        )
        word = packed(file(nodes))
        (said,) = await beside(lambda: replies(path, ["plan", word]))
        assert said[-1].code == ":", said
        planned = [m.data["planned"] for m in said if "planned" in m.data]
        kinds = {(i["what"], i["name"]): i["kind"] for i in planned}
        assert kinds["node", "gfa1"] == "change"
        assert kinds["node", "gfa2"] == "add"
        assert "SECRET" not in str(said)
        assert list(running.service._fleet.desired.nodes) == ["gfa1"]
        for engine in running.engines.values():
            assert set(engine.calls) <= {
                "observe",
                "identity",
                "digest hub:5000/sdss/flicamera:latest",
                "ping",
            }
    assert any("'plan ...'" in message for message in caplog.messages)
    assert not any(word[:20] in message for message in caplog.messages)


async def test_it_is_for_the_control_socket_alone(tmp_path: Path) -> None:
    """Who may name engines makes the controller connect to them."""
    async with observatory(
        {"gfa1": free_port()}, tmp_path / "c.sock", commands="all"
    ) as running:
        client = await Client.connect(running.port)
        word = packed(file(dict(running.desired.nodes)))
        said = await client.command(f"5 plan {word}")
        assert said[-1] == 'f error="This command is for the control socket alone."'
        helps = await client.command("6 help")
        assert not any("  plan" in text for text in helps)
        await client.close()


@pytest.mark.parametrize(
    ("word", "code"),
    [("nothing", 2), (packed("nodes: [")[:-8], 2), (packed("nodes: ["), 3)],
)
async def test_what_is_no_configuration(tmp_path: Path, word: str, code: int) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path):
        (said,) = await beside(lambda: replies(path, ["plan", word]))
        assert (said[-1].code, said[-1].exit_code) == ("f", code)


def test_a_configuration_that_is_too_long() -> None:
    with pytest.raises(UsageError, match="over 4096 KiB"):
        unpacked(packed(" " * (CONFIGURATION_LIMIT + 1)))


def test_five_hundred_nodes_are_one_line() -> None:
    nodes = {
        f"gfa{n}": Node(f"gfa{n}", f"10.0.{n // 250}.{n % 250}", f"tcp://gfa{n}:2375")
        for n in range(500)
    }
    text = file(nodes)
    assert len(text) > LINE_LIMIT
    assert len(packed(text)) < LINE_LIMIT / 2
    assert unpacked(packed(text)) == text


@contextmanager
def plans(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Yield the plans that commands are parts of, at their ends."""
    found: list[str] = []
    end = Call._end

    def noted(call: Call, code: str, keywords: dict[str, object]) -> None:
        # The controller's own status, at its start, came by no door.
        if call.door:
            found.append(call.plan)
        end(call, code, keywords)

    monkeypatch.setattr(Call, "_end", noted)
    yield found


async def test_a_change_knows_its_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path):
        with plans(monkeypatch) as found:
            fingerprint = "0123456789ab" * 2
            given = (
                ["reconnect", "--dry-run", "--plan", fingerprint],
                ["remove", "--all", "--plan", fingerprint],
                ["remove", "--all"],
                ["remove", "--all", "--plan", "all of it"],
            )
            said = await beside(lambda: replies(path, *given))
        assert found == [fingerprint, fingerprint, "", ""]
        assert said[-1][-1].exit_code == 2
