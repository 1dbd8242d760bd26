from __future__ import annotations

from pathlib import Path

import pytest

from fliswarm.fleet.left import Ledger
from tests.unit.support.site import fleet

NODE = '{"name": "gfa1", "host": "gfa1", "engine": "tcp://gfa1:2375", "%s": 5}'


@pytest.mark.parametrize("key", ["tls", "power", "x"])
def test_a_node_that_is_not_understood_is_left(tmp_path: Path, key: str) -> None:
    path = tmp_path / "engines.json"
    content = f'{{"an engine": {NODE % key}}}'
    path.write_text(content)
    assert Ledger(path).leavings(fleet({})) == []
    assert path.read_text() == content
