"""Plans of whole sites, made, saved and carried out by the program."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.unit.support.wholesite import whole_site


async def test_a_node_is_added_by_one_line(tmp_path: Path) -> None:
    """Plan says it, apply does just that, plan says nothing, apply does nothing."""
    file = tmp_path / "plan.json"
    async with whole_site(tmp_path) as site:
        await site.up()
        before = [site.ids(number) for number in (1, 2)]
        assert all(before)
        site.nodes["gfa3"] = {"ansible_host": site.address(3)}
        with site.untouched():
            said = await site.fliswarm("plan", "-o", str(file))
        assert said.code == 2, said.out + said.err
        assert "gfa3 is added" in said.out
        counted = ": 2 hosts change, 1 node is added, 2 stay as they are.\n"
        assert counted in said.out, said.out
        assert "looking at the hosts" in said.err
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        done = await site.fliswarm("apply", str(file), "--json")
        assert done.code == 0, done.out + done.err
        ended = [line for line in done.lines if line.get("kind") == "outcome"]
        assert {line["name"]: line["outcome"] for line in ended} == {
            "hub": "changed",
            "gfa1": "as it was",
            "gfa2": "as it was",
            "gfa3": "added",
        }
        assert site.names(3) == {"flicamera-gfa3": "running"}
        assert [site.ids(number) for number in (1, 2)] == before
        with site.untouched():
            again = await site.fliswarm("plan")
            assert again.code == 0, again.out + again.err
            assert "Nothing to do: 4 hosts and 3 nodes are as wanted." in again.out
            nothing = await site.fliswarm("apply")
            assert nothing.code == 0, nothing.out + nothing.err


@pytest.mark.parametrize(
    "transport", [pytest.param("tcp", marks=pytest.mark.rehearsal), "ssh"]
)
async def test_a_node_is_removed_and_nothing_else(
    tmp_path: Path, transport: str
) -> None:
    async with whole_site(tmp_path) as site:
        site.vars["fliswarm_docker_transport"] = transport
        await site.up()
        before = site.ids(1)
        del site.nodes["gfa2"]
        with site.untouched():
            said = await site.fliswarm("plan")
            assert said.code == 2, said.out + said.err
            counted = "1 host leaves, 1 node is removed, "
            assert counted in said.out, said.out
            # Nobody is there to be asked.
            refused = await site.fliswarm("apply")
            assert refused.code == 2
            assert "Remedy: --yes" in refused.err
        done = await site.fliswarm("apply", "--yes")
        assert done.code == 0, done.out + done.err
        assert site.names(2) == {}
        assert site.ids(1) == before
        assert not (tmp_path / "hosts" / site.address(2)).exists()
        assert (tmp_path / "hosts" / site.address(1)).exists()
        again = await site.fliswarm("plan")
        assert again.code == 0, again.out + again.err


@pytest.mark.rehearsal
async def test_a_plan_that_does_not_hold_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    async with whole_site(tmp_path) as site:
        await site.up()
        site.nodes["gfa3"] = {"ansible_host": site.address(3)}
        assert (await site.fliswarm("plan", "-o", str(file))).code == 2
        computer = site.computers[site.address(1)]
        fleet = site.service._fleet
        await fleet.apply(fleet.select("gfa1"), lambda _: None, force=True)
        (tmp_path / "hosts" / site.address(3)).write_text("another's\n", "utf-8")
        with site.untouched():
            refused = await site.fliswarm("apply", str(file))
        assert refused.code == 1, refused.out + refused.err
        assert "gfa1: its containers changed since" in refused.err
        assert "gfa3: what Ansible would change changed since" in refused.err
        assert "Nothing was changed." in refused.err
        assert computer.names == {"flicamera-gfa1": "running"}
        assert site.names(3) == {}


async def test_a_site_without_a_controller(tmp_path: Path) -> None:
    """The first time: nobody can be asked, which is no fault."""
    async with whole_site(tmp_path) as site:
        said = await site.fliswarm("plan", "--json")
        assert said.code == 2, said.out + said.err
        items = {(i["what"], i.get("name")): i for i in said.lines}
        assert items["controller", "fliswarm"]["kind"] == "add"
        assert items["node", "gfa1"]["kind"] == "add"
        assert items["host", "gfa1"]["pending"] is True
        end = said.lines[-1]
        assert end["summary"].startswith("3 hosts change, ")
        assert len(end["fingerprint"]) == 64


async def test_what_cannot_be_looked_at_is_trouble(tmp_path: Path) -> None:
    async with whole_site(tmp_path) as site:
        await site.up()
        site.computers[site.address(2)].up = False
        site.nodes["gfa1"]["ansible_python_interpreter"] = "/nowhere/python"
        said = await site.fliswarm("plan")
        assert said.code == 1, said.out + said.err
        assert "2 cannot be told." in said.out, said.out
        assert "the engine does not answer" in said.out
        (tmp_path / "plan.json").write_text("{}", "utf-8")
        wrong = await site.fliswarm("apply", str(tmp_path / "plan.json"))
        assert wrong.code == 3
        assert "is no plan" in wrong.err
        # What is written wrong is no change that is pending.
        assert (await site.fliswarm("plan", "--nonsense")).code == 1


@pytest.mark.rehearsal
async def test_what_fails_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    async with whole_site(tmp_path) as site:
        await site.up()
        before = [site.ids(number) for number in (1, 2)]
        # Its host refuses what a dry run could not foresee.
        refusal = "lookup('ansible.builtin.file', '/nowhere')"
        late = f"{{{{ 'x' if ansible_check_mode else {refusal} }}}}"
        site.nodes["gfa3"] = {"ansible_host": site.address(3), "host_has": late}
        site.nodes["gfa1"]["fliswarm_environment"] = {"TOKEN": "SECRET"}
        site.nodes["gfa2"]["fliswarm_category"] = "fvc"
        done = await site.fliswarm("apply", "--yes")
        assert done.code == 5, done.out + done.err
        lines = done.out.splitlines()
        assert "node gfa1 changed" in lines
        assert "node gfa2 changed" in lines
        assert "node gfa3 failed: not done: its host was not provisioned" in lines
        assert any(line.startswith("host gfa3 failed: ") for line in lines)
        assert site.names(3) == {}
        assert site.ids(1) != before[0]
        assert site.ids(2) == before[1]
        said = done.out + done.err + str(list(tmp_path.glob("*.json")))
        assert "SECRET" not in said
