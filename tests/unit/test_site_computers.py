"""The module site_computers: who has left, and who has only another name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.support.modules import run


def computer(name: str, number: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a computer of the inventory."""
    where = f"10.0.0.{number}"
    one = {"name": name, "role": "node", "connection": where, "address": where}
    return {**one, "keys": [f"ssh-ed25519 {name}"], **more}


def ask(store: Path, *computers: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Run the module; return its result."""
    check = bool(more.pop("check", False))
    arguments = {"store": str(store), "computers": list(computers), "warn": True}
    return run("site_computers", {**arguments, **more}, check=check)


def names(said: dict[str, Any]) -> list[str]:
    """Return the names of those that have left."""
    return [one["name"] for one in said["left"]]


def test_who_has_left_is_named_at_each_run_with_what_to_do(tmp_path: Path) -> None:
    gfa1, gfa2 = computer("gfa1", 1), computer("gfa2", 2)
    assert ask(tmp_path, gfa1, gfa2)["changed"]
    assert not ask(tmp_path, gfa1, gfa2)["changed"]
    for _run in range(2):
        said = ask(tmp_path, gfa1)
        assert names(said) == ["gfa2"]
        (warning,) = said["warnings"]
        words = str(warning)
        assert "gfa2 (node at 10.0.0.2) is in the inventory no more" in words
        assert "ansible-playbook -i 10.0.0.2, -u USER sdss.fliswarm.reset" in words
        assert not said["changed"]


def test_another_name_another_address_and_another_way_are_no_leaving(
    tmp_path: Path,
) -> None:
    ask(tmp_path, computer("gfa1", 1), computer("gfa2", 2), computer("gfa3", 3))
    said = ask(
        tmp_path,
        computer("north1", 1, keys=[]),
        computer("gfa2", 22),
        computer("gfa3", 33, connection="gfa3.vpn", address="10.0.0.3", keys=[]),
    )
    assert names(said) == []
    assert "warnings" not in said
    assert len(said["computers"]) == 3


def test_another_computer_of_the_same_name_is_another_one(tmp_path: Path) -> None:
    ask(tmp_path, computer("gfa1", 1))
    said = ask(tmp_path, computer("gfa1", 7, keys=["ssh-ed25519 new"]))
    assert [one["connection"] for one in said["left"]] == ["10.0.0.1"]


def test_the_keys_of_who_does_not_answer_are_kept(tmp_path: Path) -> None:
    ask(tmp_path, computer("gfa1", 1))
    ask(tmp_path, computer("gfa1", 1, keys=[]))
    assert names(ask(tmp_path, computer("gfa1", 9))) == []


def test_who_is_forgotten_stays_so_whatever_another_list_says(tmp_path: Path) -> None:
    gfa1, gfa2 = computer("gfa1", 1), computer("gfa2", 2)
    other = ask(tmp_path / "a", gfa1, gfa2)["computers"]
    assert names(ask(tmp_path / "b", gfa1, known=other)) == ["gfa2"]
    assert names(ask(tmp_path / "b", gfa1, known=other, forget=["10.0.0.2"])) == []
    assert names(ask(tmp_path / "b", gfa1, known=other)) == []
    # Until it is back.
    ask(tmp_path / "b", gfa1, gfa2)
    assert names(ask(tmp_path / "b", gfa1)) == ["gfa2"]


def test_a_former_manager_is_told_as_such(tmp_path: Path) -> None:
    ask(tmp_path, computer("hub", 1, role="manager"))
    (warning,) = ask(tmp_path, computer("new", 2, role="manager"))["warnings"]
    assert "its controller commands the cameras" in str(warning)


def test_a_dry_run_writes_nothing_and_says_the_same(tmp_path: Path) -> None:
    store = tmp_path / "store"
    said = ask(store, computer("gfa1", 1), check=True)
    assert not store.exists()
    assert said == ask(store, computer("gfa1", 1))
    assert run("site_computers", {"store": str(store), "state": "absent"})["changed"]
    assert not store.exists()
