from __future__ import annotations

from pathlib import Path

import pytest

from fliswarm import store
from fliswarm.fleet.left import Ledger
from fliswarm.model import Node
from tests.unit.support.site import fleet

NODE = '{"name": "gfa1", "host": "gfa1", "engine": "tcp://gfa1:2375", "%s": 5}'


@pytest.mark.parametrize("key", ["tls", "power", "x"])
def test_a_node_that_is_not_understood_is_kept(tmp_path: Path, key: str) -> None:
    path = tmp_path / "engines.json"
    content = f'{{"an engine": {NODE % key}}}'
    path.write_text(content)
    ledger = Ledger(path)
    assert ledger.leavings(fleet({})) == []
    ledger.note("another", Node("gfa2", "gfa2", "tcp://gfa2:2375"))
    assert [leaving.identity for leaving in Ledger(path).leavings(fleet({}))] == [
        "another"
    ]
    (kept,) = store.kept_aside(tmp_path)
    assert (kept.name, kept.read_text()) == ("engines.json.unreadable", content)
