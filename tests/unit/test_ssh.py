from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from fliswarm.errors import ConfigError
from fliswarm.net import ssh


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (None, ["ssh"]),
        ("", ["ssh"]),
        ("ssh -F 'my config'", ["ssh", "-F", "my config"]),
    ],
)
def test_the_command(written: str | None, words: list[str]) -> None:
    environment = {} if written is None else {"FLISWARM_SSH_COMMAND": written}
    assert ssh.command(environment) == words


def test_a_command_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"FLISWARM_SSH_COMMAND: .*: ssh '"):
        ssh.command({"FLISWARM_SSH_COMMAND": "ssh '"})


@pytest.mark.parametrize(
    ("address", "user", "words"),
    [
        ("ssh://h", None, ["h"]),
        ("ssh://h", "me", ["me@h"]),
        ("ssh://you@h", "me", ["you@h"]),
        ("ssh://h:2222", None, ["-p", "2222", "h"]),
        ("ssh://you@[::1]:22", None, ["-p", "22", "you@::1"]),
    ],
)
def test_the_target(address: str, user: str | None, words: list[str]) -> None:
    assert ssh.target(urlsplit(address), user) == words
