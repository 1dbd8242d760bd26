"""Making containers of sdss-fliswarm the nodes' own; nothing on a node is touched."""

from __future__ import annotations

from collections.abc import Sequence

from fliswarm.errors import FliswarmError
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.node import LiveNode
from fliswarm.model import facts
from fliswarm.model.facts import Tell


async def adopt(
    fleet: LiveFleet, nodes: Sequence[LiveNode], tell: Tell, by: str = ""
) -> dict[str, FliswarmError]:
    """Adopt what sdss-fliswarm runs on nodes.

    From then on it is as one of ours that was made by an older program: the next
    `LiveFleet.apply` leaves it if it is as wanted, and replaces it if not. A node that
    does not answer has nothing adopted, and fails by what is done to it next.

    Returns
    -------
    errors
        Why what is there could not be adopted, by node.
    """
    told = fleet.news.and_to(tell)
    errors: dict[str, FliswarmError] = {}
    for live, status in zip(nodes, await fleet.status(nodes), strict=True):
        original, name = status.original, live.node.name
        if original is None:
            continue
        try:
            engine = await live.identity()
            fleet.adopted.note(original.id, name, engine, by)
        except FliswarmError as error:
            errors[name] = error
            continue
        told(facts.Adopted(node=name, container=original.short_id))
    return errors
