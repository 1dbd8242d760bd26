"""A module that takes secrets, and texts without the secrets in them."""

from __future__ import annotations

import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule

HIDDEN = "********"
"""Stands for a secret."""

KEY = re.compile(
    r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(-----END \1-----|\Z)", re.DOTALL
)

CREDENTIALS = re.compile(r"(?<=://)[^\s/@\"']+@")
"""User and password of a URL."""

NAMED = re.compile(
    r"""(?ix)
    ( [\w.-]* (?: passw(?:or)?d | passphrase | secret | token | api[_-]?key
      | credential | access[_-]?key | private[_-]?key ) [\w.-]* ["']?
      \s* [=:] \s* ["']? )
    ( (?<=") (?:[^"\\]|\\.)+ | (?<=') [^']+ | [^\s"',;{}\[\]]+ )
    """
)
"""A value whose name says that it is secret, in YAML, JSON, or as NAME=VALUE."""


def masked(text: str, hide: str | None = None) -> str:
    """Return a text without what is known to be secret in it.

    Parameters
    ----------
    text
        Such as a file, or what a program said.
    hide
        Regular expression of further parts: what its last group matches is secret.
        ``^`` and ``$`` are those of a line.
    """
    if hide:
        text = re.sub(hide, _without_last, text, flags=re.MULTILINE)
    text = KEY.sub(HIDDEN, text)
    text = CREDENTIALS.sub(f"{HIDDEN}@", text)
    return NAMED.sub(rf"\g<1>{HIDDEN}", text)


def _without_last(match: re.Match[str]) -> str:
    whole, start, last = match.group(0), match.start(), match.re.groups
    before, after = match.start(last) - start, match.end(last) - start
    return whole[:before] + HIDDEN + whole[after:]


class QuietModule(AnsibleModule):  # type: ignore[misc]  # untyped
    """A module of whose parameters nothing is told: in no journal, in no result.

    Ansible writes what a module was invoked with into the journal of the host, which
    others may read. There ``no_log`` does not find a secret inside a mapping, and the
    setting of the task overrules that of the module.
    """

    def log(self, msg: str, log_args: dict[str, Any] | None = None) -> None:
        """Say nothing."""

    def exit_json(self, **kwargs: Any) -> Any:  # noqa: ANN401  Ansible's own
        """End well; the result does not repeat the parameters."""
        return super().exit_json(**{"invocation": {}, **kwargs})

    def fail_json(self, msg: str, **kwargs: Any) -> Any:  # noqa: ANN401
        """Fail; programs that are asked may have repeated a secret."""
        return super().fail_json(masked(msg), **{"invocation": {}, **kwargs})
