"""What would become of the fleet with another configuration: looked at, not touched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fliswarm.camera import CameraLink
from fliswarm.change.prepare import planned, published
from fliswarm.change.world import World
from fliswarm.errors import (
    BusyError,
    EngineError,
    EngineUnreachableError,
    FliswarmError,
    ImageUnavailableError,
    NodeError,
)
from fliswarm.fleet.left import Leaving, Ledger
from fliswarm.fleet.maker import Maker, actor_name, same_camera
from fliswarm.fleet.node import LiveNode
from fliswarm.fleet.roster import Roster
from fliswarm.model import Container, Fleet, Node, Observation
from fliswarm.plan.difference import Plan, removal, told
from fliswarm.plan.edits import (
    ADD,
    CHANGE,
    KEEP,
    MOVE,
    REMOVE,
    RENAME,
    SWAP,
    Edit,
    edits,
    settings,
)
from fliswarm.plan.whole import CONTROLLER, LEFT, NODE, Item, digest

ELSEWHERE = (ADD, MOVE, SWAP)
"""What becomes of a node that gets a computer which is not its own now."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found on one engine for one node; ``lacking`` is why there is no image.

    ``identity`` is what the engine calls itself.
    """

    seen: Observation
    plan: Plan
    digest: str | None
    identity: str
    lacking: str | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """Plans for configurations that are not in force.

    Engines are asked what they have, registries and cameras whether they have and
    answer what is wanted. Nobody is told of it, and nothing is noted.
    """

    maker: Maker
    ledger: Ledger
    roster: Roster

    async def look(
        self, lives: Sequence[LiveNode], running: Fleet, wanted: Fleet
    ) -> list[Item]:
        """Return what would become of the controller, each node, and what is left.

        Parameters
        ----------
        lives
            The nodes of the running fleet.
        running, wanted
            The configuration that is in force, and the other one.
        """
        by_name = {live.node.name: live for live in lives}
        changes = edits(running, wanted, self.roster.enabled)
        looks: dict[str, _Look | FliswarmError] = {}

        async def one(edit: Edit) -> Item:
            return await self._node(edit, by_name, running, wanted, looks)

        nodes = await asyncio.gather(*map(one, changes))
        seen = {k.identity for k in looks.values() if isinstance(k, _Look)}
        leavings = [
            leaving
            for leaving in self.ledger.leavings(wanted)
            # The computer has another address now, and is still a node's.
            if leaving.identity not in seen and not _stays(leaving, wanted)
        ]
        left = await asyncio.gather(*(self._left(one, wanted) for one in leavings))
        differences = tuple(map(str, settings(running, wanted)))
        controller = Item(
            CONTROLLER,
            "fliswarm",
            CHANGE if differences else KEEP,
            differences,
            {"configuration": digest(differences)},
        )
        return [controller, *nodes, *left]

    async def _node(
        self,
        edit: Edit,
        lives: dict[str, LiveNode],
        running: Fleet,
        wanted: Fleet,
        looks: dict[str, _Look | FliswarmError],
    ) -> Item:
        lines = tuple(map(str, edit.differences))
        item = Item(
            NODE,
            edit.node,
            edit.kind,
            lines,
            {"configuration": digest([edit.kind, lines])},
            edit.was,
        )
        if edit.kind == REMOVE:
            node = running.nodes[edit.node]
            return replace(item, was=node.engine, lines=(f"on {node.engine}",))
        node = wanted.nodes[edit.node]
        live = lives.get(edit.was if edit.kind == RENAME and edit.was else edit.node)
        if not self._enabled(edit, live, wanted):
            said = (*lines, "disabled: its container stays as it is") if lines else ()
            return replace(item, lines=said, enabled=False)
        at = node if live is None or edit.kind in ELSEWHERE else live.node
        look = await self._look(node, at, live, wanted)
        looks[node.name] = look
        if isinstance(look, FliswarmError):
            return _unseen(item, wanted.container(node).name, look)
        if edit.kind == MOVE:
            known = self.ledger.node(look.identity)
            same = known is not None and known.name == edit.node
            which = "the same computer" if same else "another computer"
            item = replace(item, lines=(*item.lines, f"{which} is there"))
        return _with_look(item, look)

    def _enabled(self, edit: Edit, live: LiveNode | None, wanted: Fleet) -> bool:
        for difference in edit.differences:
            if difference.field == "enabled":
                return bool(difference.wanted)
        if live is None or edit.kind == ADD:
            return edit.node in wanted.enabled
        return self.roster.standing(live.node.name).enabled

    async def _look(
        self, node: Node, at: Node, live: LiveNode | None, wanted: Fleet
    ) -> _Look | FliswarmError:
        """Look at the computer that a node is to have.

        Where the way to its engine alone is to change, it is asked the way that is
        there: the other one is made yet.
        """
        if (change := self.maker.journal.busy(at.name)) is not None:
            return BusyError(node.name, change)
        engine = self.maker.connect(replace(node, engine=at.engine, tls=at.tls))
        link, own = None, live is not None and same_camera(live.node, node)
        try:
            if live is None or not own:
                link = CameraLink(
                    node.name, node.host, node.port, actor=actor_name(node)
                )
                link.start()
            camera = link or (live.link if live is not None else None)
            assert camera is not None
            world = World(
                node,
                wanted.container(node),
                engine,
                camera,
                self.maker.reach(node),
                self.maker.power,
                self.maker.patience,
                lambda _: None,
            )
            seen = await engine.observe(world.wanted)
            found, lacking = None, None
            try:
                found = await published(world, seen)
            except ImageUnavailableError as error:
                lacking = error.problem
            todo = await planned(
                world,
                seen,
                wanted.neighbours(node),
                self.maker.patience.settle,
                found,
                force=False,
            )
            return _Look(seen, todo, found, await engine.identity(), lacking)
        except EngineError as error:
            return error
        finally:
            engine.close()
            if link is not None:
                await link.close()

    async def _left(self, leaving: Leaving, wanted: Fleet) -> Item:
        """Look at an engine that no node has any more."""
        node = leaving.node
        item = Item(LEFT, node.name, REMOVE, was=node.engine)
        engine = self.maker.connect(node)
        try:
            if await engine.identity() != leaving.identity:
                # What is there now was never ours; the engine itself is forgotten.
                lines = ("another engine has its address: it is forgotten",)
                return replace(item, lines=lines)
            seen = await engine.observe(wanted.container(node), image=False)
        except EngineError as error:
            return replace(
                item,
                problem=f"what it left on {node.engine} is not to be reached: "
                f"{error.problem}. Remedy: fliswarm remove --forget {node.name} when "
                "that computer is gone for good",
            )
        finally:
            engine.close()
        todo = removal(seen, wanted.neighbours(node))
        return replace(item, lines=told(todo), seen=_seen(seen))


def _unseen(item: Item, name: str, error: FliswarmError) -> Item:
    """Return an item whose engine could not be asked."""
    why = error.problem if isinstance(error, NodeError) else str(error)
    item = replace(item, seen={**item.seen, "engine": digest(None)}, reconnect=True)
    if not isinstance(error, EngineUnreachableError):
        return replace(item, problem=why)
    made = f"container {name}: what is there is unknown"
    if item.kind in ELSEWHERE:
        made += "; it is made new"
    return replace(
        item, lines=(*item.lines, made), needs="host", unready=f"its engine: {why}"
    )


def _with_look(item: Item, look: _Look) -> Item:
    todo = look.plan
    # Where its engine is, is noted by whoever looks after the container.
    moves = item.kind not in (KEEP, CHANGE) or any(
        line.startswith("engine: ") for line in item.lines
    )
    item = replace(
        item,
        kind=CHANGE if item.kind == KEEP and not todo.empty else item.kind,
        lines=tuple(dict.fromkeys((*item.lines, *told(todo)))),
        seen={**item.seen, **_seen(look.seen, look)},
        reconnect=moves or not todo.empty,
    )
    if todo.blocked is not None:
        return replace(item, kind=CHANGE, problem=todo.blocked)
    if look.lacking is not None:
        return replace(item, needs="manager", unready=look.lacking)
    return item


def _seen(seen: Observation, look: _Look | None = None) -> dict[str, str]:
    """Return the fingerprints of what an engine has.

    A container is what its number says, and its number says all that it was made from.
    """
    aspects = {
        "containers": digest(_containers((*seen.containers, *seen.others))),
        "volumes": digest(sorted(seen.volumes)),
        "foreign": digest(seen.foreign),
    }
    if look is not None:
        camera = [str(d.found) for d in look.plan.differences if d.field == "camera"]
        aspects["image"] = digest(seen.image and [seen.image.id, seen.image.digest])
        aspects["published"] = digest([look.digest, look.lacking])
        aspects["engine"] = digest(look.identity)
        aspects["camera"] = digest(bool(camera))
    return aspects


def _containers(found: Iterable[Container]) -> list[list[str]]:
    return sorted([c.id, c.name, c.state, c.image_id] for c in found)


def _stays(leaving: Leaving, wanted: Fleet) -> bool:
    """Tell whether a node stays on its computer, whose engine is reached otherwise."""
    node = wanted.nodes.get(leaving.node.name)
    return node is not None and node.host == leaving.node.host
