"""Updates of a whole fleet on twins: what each node has, the exit code, the words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fliswarm.errors import BusyError, EngineUnreachableError
from fliswarm.model import Image, Printed
from fliswarm.model.facts import Followed, Follows, Judged
from tests.unit.support.camera import RawCamera
from tests.unit.support.live import Computer
from tests.unit.support.releasing import ONE, THREE, TWO, releasing
from tests.unit.support.wait import until

QUICK = "--monitor 0"

LAST = [
    ("2026-12-01T10:30:00.000000001Z", "starting"),
    ("2026-12-01T10:30:01.000000001Z", "no FLI device on the bus"),
]
"""What a camera without a device prints."""


def everywhere(image: str, number: int = 4) -> dict[str, str]:
    return {f"gfa{n}": image for n in range(1, number + 1)}


async def test_say_do_say_again_do_again(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        site.publish(TWO)
        said = await site.give("update --dry-run")
        assert (said.code, said.exit_code) == (":", 0)
        assert "gfa1: canary, release 1 (" in said.text
        assert "-> release 2 (" in said.text
        assert "gfa4: turn 2" in said.text
        assert (site.touched(), site.has) == ([], everywhere("one"))
        assert not (tmp_path / "releases.json").exists()
        done = await site.give(f"update {QUICK}")
        assert (done.code, done.exit_code, site.has) == (":", 0, everywhere("two"))
        assert "release 2: gfa1, gfa2, gfa3, gfa4" in done.text
        judged = [fact.node for fact in site.facts if isinstance(fact, Judged)]
        assert (judged[0], sorted(judged)) == ("gfa1", list(site.desired.nodes))
        site.forget()
        for words in ("update --dry-run", f"update {QUICK}"):
            again = await site.give(words)
            assert (again.code, again.exit_code) == (":", 0)
            assert "Nothing to do" in again.text
        assert site.touched() == []


async def test_the_registry_is_asked_once_for_what_all_get(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        site.publish(TWO)
        await site.give(f"update {QUICK}")
        calls = [c for pc in site.computers.values() for c in pc.calls]
        assert len([c for c in calls if c.startswith("digest")]) == 1
        pulls = {c for c in calls if c.startswith("pull")}
        assert pulls == {f"pull hub:5000/sdss/flicamera@{TWO.digest}"}


async def test_a_reconnect_keeps_the_release(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        site.publish(TWO)
        await site.give(f"update {QUICK}")
        site.publish(THREE)
        site.forget()
        assert (await site.give("reconnect")).code == ":"
        assert (site.touched(), site.has) == ([], everywhere("two"))
        assert (await site.give("reconnect --force -n gfa2")).code == ":"
        assert (site.touched(), site.has) == (["gfa2"], everywhere("two"))
        # So does one after the next start, whether there is a registry or not.
        await site.fleet.close()
        site.start()
        site.forget()
        for computer in site.computers.values():
            computer.registry.clear()
        assert (await site.give("reconnect --force -n gfa2")).code == ":"
        assert site.has == everywhere("two")
        calls = site.computer("gfa2").calls
        assert not [call for call in calls if call.startswith(("pull", "digest"))]


async def test_a_silent_image_is_taken_back(tmp_path: Path) -> None:
    async with releasing(tmp_path, answer=4) as site:
        canary = site.computer("gfa1")
        canary.silent.add(TWO.id)

        def says(_: str) -> None:
            for found in canary.running:
                canary.daemon.logs[found.id] = [Printed(*line) for line in LAST]

        canary.on_call = says
        (former,) = canary.running
        site.publish(TWO)
        done = await site.give(f"update {QUICK}")
        assert (done.code, done.exit_code) == ("f", 1)
        assert "the camera did not answer in " in done.text
        assert "the last line of its log: 'no FLI device on the bus'" in done.text
        assert done.data["failed"] == ["gfa1"]
        assert "The update stopped at gfa1; back to what they had: gfa1" in done.text
        assert "not touched: gfa2, gfa3, gfa4" in done.text
        assert (site.touched(), site.has) == (["gfa1"], everywhere("one"))
        assert [found.id for found in canary.running] == [former.id]
        # It is over: nothing of it is wanted, nor to be taken back.
        said = await site.give("status --detail")
        assert "stopped" not in said.text
        assert "mixed" not in said.text
        assert [v[1:] for v in said.values("release")] == [[1, 1]] * 4
        assert "Nothing to do" in (await site.give("rollback")).text
        assert site.has == everywhere("one")


async def test_an_image_that_answers_as_another_camera(tmp_path: Path) -> None:
    async with releasing(tmp_path, answer=4) as site:
        site.computer("gfa1").strangers[TWO.id] = "gfa9"
        site.publish(TWO)
        done = await site.give(f"update {QUICK}")
        assert (done.code, done.exit_code) == ("f", 1)
        assert "what answers there says that it is gfa9" in done.text
        assert (site.touched(), site.has) == (["gfa1"], everywhere("one"))


async def test_a_camera_without_a_temperature_is_not_good(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        site.computer("gfa1").temperature = None
        site.publish(TWO)
        done = await site.give(f"update {QUICK}")
        assert (done.code, done.exit_code) == ("f", 4)
        assert "its status has no temperature" in done.text
        # Its container was replaced for good, so it is replaced back.
        assert (site.touched(), site.has) == (["gfa1"], everywhere("one"))


async def test_a_camera_that_ends_while_it_is_watched(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        canary = site.computer("gfa1")

        def end(call: str) -> None:
            names = [c.name for c in canary.daemon.containers.values()]
            if call == "observe" and names == ["flicamera-gfa1"]:
                for found in canary.running:
                    if found.image_id == TWO.id:
                        ended = replace(found, state="exited")
                        canary.daemon.containers[found.id] = ended

        canary.on_call = end
        site.publish(TWO)
        done = await site.give("update --monitor 60")
        assert done.code == "f"
        assert "its container is exited" in done.text
        assert site.has == everywhere("one")


async def test_the_registry_dies_in_the_pull(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        victim = site.computer("gfa3")

        def die(call: str) -> None:
            if call.startswith("pull"):
                for engine in victim.engines:
                    engine.registry_up = False

        victim.on_call = die
        site.publish(TWO)
        done = await site.give(f"update {QUICK}")
        assert (done.code, done.exit_code) == ("f", 1)
        assert "No container was touched" in done.text
        assert "gfa3" in str(done.data["failed"])
        assert "its registry does not answer" in done.text
        assert (site.touched(), site.has) == ([], everywhere("one"))
        assert site.fleet.releases.known.rollout is None


def dying(computer: Computer) -> Callable[[str], None]:
    """Return what lets a computer's engine die when it is to run a container."""

    def die(call: str) -> None:
        if call.startswith("run"):
            computer.up = False
            raise EngineUnreachableError(computer.host, "the engine does not answer")

    return die


async def test_a_node_dies_between_stop_and_start(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        victim = site.computer("gfa3")
        victim.on_call = dying(victim)
        site.publish(TWO)
        done = await site.give(f"update {QUICK} --max-parallel 2")
        assert done.code == "f"
        assert "gfa3: it could not go back yet" in done.text
        # gfa2 was in its turn; the canary is good and stays, gfa4 was not touched.
        assert site.has == {"gfa1": "two", "gfa2": "one", "gfa3": "", "gfa4": "one"}
        assert "gfa1 keep it; not touched: gfa4" in done.text
        assert "gfa4" not in site.touched()
        said = await site.give("status --detail")
        assert "was stopped at turn 2 of 3 (gfa2, gfa3); done before: gfa1" in said.text
        assert "fliswarm update --monitor 0 --max-parallel 2 goes on" in said.text
        victim.on_call = None
        victim.up = True
        await until(lambda: site.has["gfa3"] == "one", "gfa3 has what it had")
        await until(lambda: not site.fleet.releases.known.behind, "gfa3 is there")
        assert victim.names == {"flicamera-gfa3": "running"}
        back = await site.give(f"rollback {QUICK}")
        assert (back.code, back.exit_code) == (":", 0)
        assert site.has == everywhere("one")
        assert "stopped" not in (await site.give("status --detail")).text


async def test_all_go_back(tmp_path: Path) -> None:
    async with releasing(tmp_path, answer=4) as site:
        site.computer("gfa4").silent.add(TWO.id)
        site.publish(TWO)
        done = await site.give(f"update {QUICK} --max-parallel 2 --all")
        assert (done.code, done.exit_code) == ("f", 1)
        assert site.has == everywhere("one")
        assert "back to what they had: gfa1, gfa2, gfa3, gfa4" in done.text
        assert "Nothing to do" in (await site.give("rollback")).text


async def test_a_turn_goes_back_and_is_gone_on_with(tmp_path: Path) -> None:
    async with releasing(tmp_path, answer=4) as site:
        site.computer("gfa3").silent.add(TWO.id)
        site.publish(TWO)
        done = await site.give(f"update {QUICK} --max-parallel 2")
        assert (done.code, done.exit_code) == ("f", 1)
        assert site.has == {**everywhere("one"), "gfa1": "two"}
        said = await site.give("status --detail")
        assert "The fleet is mixed: release 2: gfa1; release 1: gfa2" in said.text
        site.computer("gfa3").silent.clear()
        done = await site.give(f"update {QUICK}")
        assert (done.code, site.has) == (":", everywhere("two"))
        said = await site.give("status --detail")
        assert "mixed" not in said.text
        # What they had before the first of the two is what they go back to.
        assert (await site.give(f"rollback {QUICK}")).code == ":"
        assert site.has == everywhere("one")


async def test_a_node_that_was_off_follows(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        site.computer("gfa2").up = False
        site.publish(TWO)
        done = await site.give(f"update {QUICK}")
        assert (done.code, done.exit_code) == (":", 0)
        assert "gfa2: it is off" in done.text
        assert site.has == {**everywhere("two"), "gfa2": "one"}
        said = await site.give("status --detail")
        assert "is to have release 2; it gets it when it is back" in said.text
        # The controller may be another one by then.
        await site.fleet.close()
        site.start()
        site.computer("gfa2").up = True
        await until(lambda: site.has == everywhere("two"), "gfa2 follows")
        await until(lambda: any(isinstance(f, Followed) for f in site.facts))
        await until(lambda: not site.fleet.releases.known.behind)
        assert "gfa2: " not in (await site.give("status --detail")).text
        rows = await site.service._dispatcher._site.record.rows(last=1)
        begun = [(r.beginning.who, r.beginning.verb, r.beginning.nodes) for r in rows]
        assert begun == [("release 2", "reconnect", ["gfa2"])]


async def test_one_that_exposes_follows_later(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        site.computer("gfa2").up = False
        site.publish(TWO)
        await site.give(f"update {QUICK}")
        exposing = site.computer("gfa2").camera
        answers = exposing.answer

        def answer(camera: RawCamera, number: int, body: str) -> None:
            if not body.startswith("expose"):
                answers(camera, number, body)

        exposing.answer = answer
        exposure = asyncio.create_task(site.give("talk -n gfa2 -- expose 100"))
        await until(lambda: exposing.asked("expose 100"), "gfa2 exposes")
        site.computer("gfa2").up = True
        await until(lambda: any(isinstance(f, Follows) for f in site.facts), "tried")
        await until(lambda: site.fleet.releases.known.behind == {"gfa2": ""})
        assert site.has["gfa2"] == "one"
        exposing.hang_up()
        await exposure
        await until(lambda: site.has == everywhere("two", 2), "gfa2 follows")
        assert len([f for f in site.facts if isinstance(f, Follows)]) == 1


async def test_one_that_does_not_come_up_when_it_follows(tmp_path: Path) -> None:
    async with releasing(tmp_path, answer=4) as site:
        late = site.computer("gfa2")
        late.up = False
        late.silent.add(TWO.id)
        site.publish(TWO)
        await site.give(f"update {QUICK}")
        late.up = True
        await until(lambda: site.fleet.releases.known.behind.get("gfa2"), "it is tried")
        assert site.has == {**everywhere("two"), "gfa2": "one"}
        said = await site.give("status --detail")
        assert "is to have release 2, which did not come up" in said.text
        assert "fliswarm reconnect -n gfa2" in said.text
        # Somebody mends it, and it is behind no more.
        late.silent.clear()
        assert (await site.give("reboot -n gfa2")).code == ":"
        assert site.has["gfa2"] == "one"
        assert (await site.give("reconnect -n gfa2")).code == ":"
        assert site.has == everywhere("two")
        await until(lambda: not site.fleet.releases.known.behind, "it has it")
        assert "gfa2: " not in (await site.give("status --detail")).text


async def test_one_that_has_nothing_when_it_is_back_gets_nothing(
    tmp_path: Path,
) -> None:
    async with releasing(tmp_path, 2) as site:
        late = site.computer("gfa2")
        late.up = False
        site.publish(TWO)
        await site.give(f"update {QUICK}")
        late.daemon.containers.clear()
        late.up = True
        await until(lambda: not site.fleet.releases.known.behind, "it is looked at")
        assert site.has == {"gfa1": "two", "gfa2": ""}
        assert (await site.give("reconnect")).code == ":"
        assert site.has == everywhere("two", 2)


async def test_disabled_nodes_are_left_out_and_named(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        await site.give("disable gfa3")
        site.publish(TWO)
        done = await site.give(f"update {QUICK}")
        assert done.code == ":"
        assert "gfa3: disabled, and left out" in done.text
        assert site.has == {**everywhere("two"), "gfa3": "one"}
        assert "gfa3" not in site.touched()
        await site.give("enable gfa3")
        said = await site.give("status --detail")
        assert "gfa3: has release 1 and is to have release 2" in said.text
        assert (await site.give("reconnect -n gfa3")).code == ":"
        assert site.has == everywhere("two")


async def test_back_and_further_back(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        for image in (TWO, THREE):
            site.publish(image)
            assert (await site.give(f"update {QUICK}")).code == ":"
        site.forget()
        said = await site.give("rollback --dry-run")
        assert "gfa1: canary, release 3 (" in said.text
        assert (site.touched(), site.has) == ([], everywhere("three"))
        assert (await site.give(f"rollback {QUICK}")).code == ":"
        assert site.has == everywhere("two")
        site.forget()
        for words in ("rollback --dry-run", f"rollback {QUICK}"):
            again = await site.give(words)
            assert (again.code, "Nothing to do" in again.text) == (":", True)
        assert site.touched() == []
        assert (await site.give(f"rollback 1 {QUICK}")).code == ":"
        assert site.has == everywhere("one")
        listed = (await site.give("releases")).values("releases")
        assert [(row[0], row[2], row[-1]) for row in listed] == [
            (1, "digest-one", "gfa1 gfa2 gfa3 gfa4"),
            (2, "digest-two", ""),
            (3, "digest-three", ""),
        ]
        wrong = await site.give("rollback 9")
        assert (wrong.code, wrong.exit_code) == ("f", 2)
        assert "there is no release 9; there is 1, 2, 3" in wrong.text


async def test_nothing_to_go_back_to(tmp_path: Path) -> None:
    async with releasing(tmp_path, 1) as site:
        said = await site.give("rollback")
        assert (said.code, said.exit_code) == ("f", 2)
        assert "no update was made" in said.text
        assert "There is no release yet" in (await site.give("releases")).text


async def test_old_images_are_taken_away(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        for number in range(2, 7):
            site.publish(Image(f"sha256:n{number}", f"sha256:digest-n{number}"))
            assert (await site.give(f"update {QUICK}")).code == ":"
        for name in site.desired.nodes:
            daemon = site.computer(name).daemon
            kept = {n.rpartition(":")[2] for n in daemon.images if "fliswarm-" in n}
            assert kept == {"fliswarm-4", "fliswarm-5", "fliswarm-6"}
        assert site.has == everywhere("n6", 2)


async def test_a_container_s_image_stays(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        await site.give("disable gfa2")
        for number in range(2, 7):
            site.publish(Image(f"sha256:n{number}", f"sha256:digest-n{number}"))
            assert (await site.give(f"update {QUICK}")).code == ":"
        assert ONE in site.computer("gfa2").daemon.images.values()
        assert site.has == {"gfa1": "n6", "gfa2": "one"}


async def test_the_configuration_s_new_image_wins(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        site.publish(TWO)
        await site.give(f"update {QUICK}")
        site.publish(THREE, "hub:5000/sdss/flicamera:2.0")
        site.desired = replace(site.desired, image="sdss/flicamera:2.0")
        await site.give("reload")
        said = await site.give("status --detail")
        assert "names hub:5000/sdss/flicamera:2.0 now, so release 2 (" in said.text
        assert (await site.give("reconnect -n gfa1")).code == ":"
        assert site.has == {"gfa1": "three", "gfa2": "two"}
        assert (await site.give(f"update {QUICK}")).code == ":"
        assert site.has == everywhere("three", 2)
        assert "is not wanted" not in (await site.give("status")).text
        # There is a way back, though the configuration says otherwise.
        assert (await site.give(f"rollback 2 {QUICK}")).code == ":"
        assert site.has == everywhere("two", 2)
        assert (await site.give("reconnect --force")).code == ":"
        assert site.has == everywhere("two", 2)


async def test_a_node_that_comes_gets_what_the_others_have(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        site.publish(TWO)
        await site.give(f"update {QUICK} -n gfa1..3")
        known = site.fleet.releases
        assert site.has == {**everywhere("two"), "gfa4": "one"}
        found = {n: known.of(site.desired, n) for n in ("gfa4", "gfa5")}
        numbers = {name: release and release.number for name, release in found.items()}
        assert numbers == {"gfa4": None, "gfa5": 2}


async def test_two_updates_at_once(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        with site.fleet.releases.carrying("update"):
            said = await site.give("rollback")
        assert (said.code, said.exit_code) == ("f", BusyError.exit_code)
        assert "another update is under way" in said.text


async def test_one_s_own_image_and_canary(tmp_path: Path) -> None:
    async with releasing(tmp_path) as site:
        site.publish(TWO, "hub:5000/sdss/flicamera:next")
        wrong = await site.give("update --image :next --canary gfa9")
        assert (wrong.code, wrong.exit_code) == ("f", 2)
        assert site.touched() == []
        calls = [c for pc in site.computers.values() for c in pc.calls]
        assert not [call for call in calls if call.startswith("pull")]
        done = await site.give(f"update --image :next --canary gfa3 {QUICK}")
        assert (done.code, site.has) == (":", everywhere("two"))
        judged = [fact.node for fact in site.facts if isinstance(fact, Judged)]
        assert judged[0] == "gfa3"


async def test_a_reconnect_beside_an_update(tmp_path: Path) -> None:
    """It gives nobody a release that is not judged, nor takes it from who is."""
    async with releasing(tmp_path) as site:
        site.publish(TWO)
        begun = asyncio.Event()

        def meet(call: str) -> None:
            if call.startswith("run"):
                begun.set()

        site.computer("gfa1").on_call = meet
        site.computer("gfa1").silent.add(TWO.id)
        update = asyncio.create_task(site.give(f"update {QUICK}"))
        await begun.wait()
        refused = await site.give("reconnect --force -n gfa4")
        assert (refused.code, refused.exit_code) == ("f", BusyError.exit_code)
        nodes = site.fleet.select("gfa4")
        await site.fleet.apply(nodes, lambda _: None, "a test", force=True)
        assert site.has["gfa4"] == "one"
        site.computer("gfa1").silent.clear()
        assert (await update).code == ":"
        assert site.has == everywhere("two")


async def test_what_is_under_way_is_told(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        site.publish(TWO)
        update = asyncio.create_task(site.give("update --monitor 600"))
        await until(lambda: site.has["gfa1"] == "two", "the canary is replaced")
        said = await site.give("status --detail")
        assert "is under way: turn 1 of 2 (gfa1)." in said.text
        assert "is to have" not in said.text
        await site.service._dispatcher.close()
        with pytest.raises(asyncio.CancelledError):
            await update


async def test_a_test_exposure(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        site.publish(TWO)
        assert (await site.give(f"update {QUICK} --expose")).code == ":"
        for name in site.desired.nodes:
            assert len(site.computer(name).camera.asked("expose --dark 0.1")) == 1


async def test_what_cannot_be_written_down_is_not_begun(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        (tmp_path / "releases.json").mkdir()
        site.publish(TWO)
        done = await site.give(f"update {QUICK}")
        assert (done.code, done.exit_code) == ("f", 1)
        assert "releases.json" in done.text
        assert (site.touched(), site.has) == ([], everywhere("one", 2))


async def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "releases.json").write_text("{}")
    async with releasing(tmp_path, 2) as site:
        said = await site.give("status")
        assert "What was noted of releases cannot be read" in said.text
        assert (await site.give(f"update {QUICK}")).code == ":"
        said = await site.give("status")
        assert "What was noted of releases" not in said.text


async def test_no_engine_answers(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        for computer in site.computers.values():
            computer.up = False
        for verb in ("update", "update --dry-run"):
            done = await site.give(verb)
            assert (done.code, done.exit_code) == ("f", 4)
        assert not (tmp_path / "releases.json").exists()


async def test_a_node_that_had_nothing_keeps_what_does_not_come_up(
    tmp_path: Path,
) -> None:
    """It is there to be looked at; there is nothing to go back to."""
    async with releasing(tmp_path, 2, answer=4) as site:
        assert (await site.give("remove -n gfa1")).code == ":"
        site.computer("gfa1").silent.add(TWO.id)
        site.publish(TWO)
        done = await site.give(f"update {QUICK}")
        assert (done.code, done.exit_code) == ("f", 4)
        assert "left as they are: gfa1; not touched: gfa2" in done.text
        assert site.has == {"gfa1": "two", "gfa2": "one"}
        assert "The fleet is mixed" in (await site.give("status --detail")).text


async def test_a_way_back_that_nobody_knows(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        for computer in site.computers.values():
            # An image that was loaded by hand.
            daemon = computer.daemon
            for name, image in daemon.images.items():
                daemon.images[name] = replace(image, digest=None)
        site.publish(TWO)
        assert (await site.give(f"update {QUICK}")).code == ":"
        said = await site.give("rollback")
        assert (said.code, said.exit_code) == ("f", 2)
        assert "it is not known what these nodes had before" in said.text
        assert site.has == everywhere("two", 2)


async def test_a_camera_that_exposes(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        camera = site.computer("gfa2").camera
        answers = camera.answer

        def answer(camera: RawCamera, number: int, body: str) -> None:
            if not body.startswith("expose"):
                answers(camera, number, body)

        camera.answer = answer
        exposure = asyncio.create_task(site.give("talk -n gfa2 -- expose 100"))
        await until(lambda: camera.asked("expose 100"), "gfa2 exposes")
        site.publish(TWO)
        for words in ("update --dry-run", f"update {QUICK}"):
            refused = await site.give(words)
            assert (refused.code, refused.exit_code) == ("f", BusyError.exit_code)
            assert "--wait SECONDS waits for its end" in refused.text
        assert (site.touched(), site.has) == ([], everywhere("one", 2))
        camera.answer = answers
        done = await site.give(f"update {QUICK} --now")
        assert (done.code, site.has) == (":", everywhere("two", 2))
        await exposure
