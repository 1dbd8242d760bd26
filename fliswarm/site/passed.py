"""What a user hands through to ``ansible-playbook``, and which of it asks something."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from fliswarm.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Passed:
    """Options of ``ansible-playbook``.

    ``run`` is what the playbook is run with, ``read`` the part of it that an inventory
    may need to be read: further inventories, variables and vault passwords.
    """

    run: Sequence[str] = ()
    read: Sequence[str] = ()


@contextmanager
def answered(words: Sequence[str], ask: Callable[[str], str]) -> Iterator[Passed]:
    """Yield what to hand to Ansible, with each question asked by ourselves.

    Ansible runs behind our own display and cannot ask. A password is written to a file
    that only this user reads, which is gone at the end; it is on no command line.

    Parameters
    ----------
    words
        As the user wrote them.
    ask
        Puts a question and returns the answer.

    Raises
    ------
    ConfigError
        For an option that would ask and has no file in place of the answer.
    """
    given, rest = _parser().parse_known_args(words)
    with tempfile.TemporaryDirectory(dir=memory()) as folder:

        def answer(question: str) -> str:
            number, path = tempfile.mkstemp(dir=folder)
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(ask(question) + "\n")
            return path

        run = list(rest)
        if given.ask_pass:
            run += ["--connection-password-file", answer("SSH password: ")]
        if given.ask_become_pass:
            run += ["--become-password-file", answer("Password to become root: ")]
        read = [word for file in given.inventory for word in ("-i", file)]
        read += [word for extra in given.extra_vars for word in ("-e", extra)]
        if given.ask_vault_pass:
            read += ["--vault-password-file", answer("Vault password: ")]
        for identity in given.vault_id:
            label, _, source = identity.rpartition("@")
            if source == "prompt":
                asked = f"Vault password ({label or 'default'}): "
                identity = f"{label or 'default'}@{answer(asked)}"
            read += ["--vault-id", identity]
        for path in given.vault_password_file:
            read += ["--vault-password-file", path]
        yield Passed([*read, *run], read)


def memory() -> str | None:
    """Return where files are in memory, or ``None`` for the usual place."""
    memory = "/dev/shm"  # noqa: S108  a folder of our own is made in it
    return memory if os.access(memory, os.W_OK | os.X_OK) else None


class _Words(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError("options for Ansible", message)


def _parser() -> argparse.ArgumentParser:
    parser = _Words(add_help=False, allow_abbrev=False)
    parser.add_argument("-K", "--ask-become-pass", action="store_true")
    parser.add_argument("-k", "--ask-pass", action="store_true")
    parser.add_argument(
        *("-J", "--ask-vault-pass", "--ask-vault-password"),
        dest="ask_vault_pass",
        action="store_true",
    )
    parser.add_argument("--vault-id", action="append", default=[])
    parser.add_argument(
        *("--vault-password-file", "--vault-pass-file"),
        dest="vault_password_file",
        action="append",
        default=[],
    )
    parser.add_argument("-e", "--extra-vars", action="append", default=[])
    parser.add_argument(
        *("-i", "--inventory", "--inventory-file"),
        dest="inventory",
        action="append",
        default=[],
    )
    return parser
