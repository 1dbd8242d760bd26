from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fliswarm import store
from fliswarm.change.computer import AwaitHost
from fliswarm.change.journal import Entry, Journal
from fliswarm.change.kinds import KINDS, read, written
from fliswarm.change.steps import (
    MakeVolume,
    Remove,
    RemoveVolume,
    Run,
    SetAside,
    Start,
    Step,
    Stop,
)
from fliswarm.errors import BusyError, StoreError
from fliswarm.model import Node, Power, TlsFiles

NODE = Node(
    "gfa1",
    "gfa1",
    "https://gfa1:2376",
    environment={"TOKEN": "a secret"},
    power=Power("jaeger", "on", "off", "nuc1"),
    tls=TlsFiles(Path("/ca"), Path("/cert"), Path("/key")),
)

STEPS: tuple[Step, ...] = (
    MakeVolume("data-1"),
    SetAside("c1", "old", "aside"),
    Stop("c1", "old"),
    Run(("c1",)),
    Start("c2"),
    AwaitHost("a mark", "gfa1"),
    Remove("c1", "old"),
    RemoveVolume("data-0"),
)

ENTRY = Entry("reconnect", "ann", NODE, "flicamera-gfa1", "gfa1", STEPS)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_a_step_is_read_back(step: Step) -> None:
    assert read(json.loads(json.dumps(written(step)))) == step


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
def test_a_kind_is_known_by_its_name(kind: type[Step]) -> None:
    assert KINDS[kind.__name__] is kind


@pytest.mark.parametrize("noted", [{}, {"step": "Fly"}, {"step": "Stop", "x": 1}])
def test_what_is_no_step(noted: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no step"):
        read(noted)


async def test_an_entry_is_found_by_the_next_controller(tmp_path: Path) -> None:
    entry = await Journal(tmp_path).begin(ENTRY, 3)
    assert entry.begun == 4
    (found,) = Journal(tmp_path).entries
    assert found == replace(entry, node=replace(NODE, environment={}))
    assert (found.step, found.final) == ("Run", False)
    assert "secret" not in (tmp_path / "gfa1.json").read_text()
    assert (tmp_path / "gfa1.json").stat().st_mode & 0o777 == 0o600


async def test_an_entry_of_an_older_controller_has_no_identity(tmp_path: Path) -> None:
    noted = await Journal(tmp_path).begin(replace(ENTRY, identity="AB:CD"), 0)
    (found,) = Journal(tmp_path).entries
    assert found.identity == noted.identity == "AB:CD"
    path = tmp_path / "gfa1.json"
    content = json.loads(path.read_text())
    del content["identity"]
    path.write_text(json.dumps(content))
    (found,) = Journal(tmp_path).entries
    assert found.identity == ""


async def test_from_its_first_final_step_on_it_can_only_be_finished() -> None:
    journal = Journal()
    number = next(n for n, step in enumerate(STEPS) if step.final)
    assert not (await journal.begin(ENTRY, number - 1)).final
    assert (await journal.begin(ENTRY, number)).final


async def test_an_entry_that_is_over_is_gone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.begin(ENTRY, 0)
    assert journal.of("gfa1") is not None
    await journal.end("gfa1")
    await journal.end("gfa1")
    assert (journal.of("gfa1"), list(tmp_path.iterdir())) == (None, [])


async def test_an_entry_whose_file_stays_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stays(path: Path) -> None:
        raise StoreError(path, "Read-only file system")

    journal = Journal(tmp_path)
    await journal.begin(ENTRY, 0)
    with monkeypatch.context() as patch:
        patch.setattr(store, "remove", stays)
        with pytest.raises(StoreError):
            await journal.end("gfa1")
    assert journal.entries == []
    await journal.end("gfa1")
    assert list(tmp_path.iterdir()) == []


async def test_a_step_that_cannot_be_noted_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file")
    with pytest.raises(StoreError):
        await journal.begin(ENTRY, 0)
    assert journal.entries == []


@pytest.mark.parametrize(
    "content",
    ["", "3", "{}", '{"steps": 1}', '{"steps": [{"step": "Stop"}]}'],
)
async def test_what_is_not_understood_is_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / "gfa1.json").write_text(content)
    journal = Journal(tmp_path)
    assert journal.entries == []
    # The next change of that node neither writes over it nor takes it away.
    await journal.begin(ENTRY, 0)
    await journal.end("gfa1")
    assert [path.name for path in tmp_path.iterdir()] == ["gfa1.json.unreadable"]
    assert (tmp_path / "gfa1.json.unreadable").read_text() == content


@pytest.mark.parametrize("begun", [0, -1, len(STEPS) + 1])
async def test_more_steps_than_there_are(tmp_path: Path, begun: int) -> None:
    await Journal(tmp_path).begin(ENTRY, 0)
    path = tmp_path / "gfa1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "begun": begun}))
    assert Journal(tmp_path).entries == []
    (kept,) = tmp_path.iterdir()
    assert kept.name == "gfa1.json.unreadable"


def test_one_hand_at_a_time() -> None:
    journal = Journal()
    with journal.hand("gfa1", "reconnect"), journal.hand("gfa2", "remove"):
        assert journal.busy("gfa1") == "reconnect"
        with (
            pytest.raises(BusyError, match=r"gfa1: another reconnect is under way"),
            journal.hand("gfa1", "remove"),
        ):
            pass
        assert journal.busy("gfa1") == "reconnect"
    assert journal.busy("gfa1") is None
