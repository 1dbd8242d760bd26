"""The texts of systemd's units and drop-ins, and commands in them: read, never run."""

from __future__ import annotations

import re
import shlex
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple

COMMENTS = ("#", ";")

WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\.|[^\s"'\\])+""")

PREFIXES = "-@:+!"
"""Marks before a command, which say how systemd runs it."""

SHORT = {
    "bridge": "-b",
    "debug": "-D",
    "data-root": "-g",
    "group": "-G",
    "hosts": "-H",
    "log-level": "-l",
    "pidfile": "-p",
    "storage-driver": "-s",
}
"""Flags of one letter, by the key of daemon.json that says the same."""

SINGULAR = {
    "authorization-plugins": "authorization-plugin",
    "default-ulimits": "default-ulimit",
    "dns-opts": "dns-option",
    "exec-opts": "exec-opt",
    "hosts": "host",
    "insecure-registries": "insecure-registry",
    "labels": "label",
    "log-opts": "log-opt",
    "registry-mirrors": "registry-mirror",
    "runtimes": "add-runtime",
    "storage-opts": "storage-opt",
}
"""Flags that are not called as the key of daemon.json that says the same."""

SWITCHES = frozenset(
    (
        "debug",
        "experimental",
        "icc",
        "init",
        "ip-forward",
        "ip-masq",
        "iptables",
        "ip6tables",
        "ipv6",
        "live-restore",
        "no-new-privileges",
        "raw-logs",
        "selinux-enabled",
        "tls",
        "tlsverify",
        "userland-proxy",
    )
)
"""Keys whose flags need no value."""

Environment = Dict[str, str]

Taken = Dict[str, List[str]]
"""Values that flags gave, by key of daemon.json."""


class Chunk(NamedTuple):
    """A part of a unit: a setting, or what stands between settings (no key)."""

    section: str
    key: str
    value: str
    text: str


def chunks(text: str) -> Iterator[Chunk]:
    """Yield the parts of a unit, in order; their texts together are the whole."""
    section, held, value = "", "", ""
    for line in text.splitlines(keepends=True):
        held += line
        bare = line.rstrip("\r\n")
        if bare.lstrip().startswith(COMMENTS):
            # Within a setting over several lines it is no end of it.
            if not value:
                yield Chunk(section, "", "", held)
                held = ""
            continue
        # Two of them are one that is meant.
        if (len(bare) - len(bare.rstrip("\\"))) % 2:
            value += bare[:-1] + " "
            continue
        yield _chunk(section, value + bare, held)
        name = re.match(r"\s*\[(.*)\]\s*$", value + bare)
        section = name.group(1) if name else section
        held, value = "", ""
    if held:
        yield _chunk(section, value, held)


def _chunk(section: str, line: str, text: str) -> Chunk:
    key, sign, value = line.partition("=")
    if not sign or key.lstrip().startswith("["):
        return Chunk(section, "", "", text)
    return Chunk(section, key.strip(), value.strip(), text)


def values(texts: Iterable[str], key: str, section: str = "Service") -> list[str]:
    """Return what a list of a unit holds; an empty value has emptied it.

    Parameters
    ----------
    texts
        The unit and its drop-ins, in the order in which they count.
    key, section
        Name of the setting.
    """
    found: list[str] = []
    for text in texts:
        for chunk in chunks(text):
            if (chunk.section, chunk.key) == (section, key):
                found = [*found, chunk.value] if chunk.value else []
    return found


def sets(text: str, key: str, section: str = "Service") -> bool:
    """Tell whether a unit has a setting, be it to empty it."""
    return any((c.section, c.key) == (section, key) for c in chunks(text))


def without(text: str, key: str, section: str = "Service") -> str:
    """Return a unit without a setting, and all else as it stands; empty for nothing."""
    left = [c for c in chunks(text) if (c.section, c.key) != (section, key)]
    if not any(chunk.key for chunk in left):
        return ""
    return _ended("".join(chunk.text for chunk in left))


def lacking(text: str, other: str, aside: Iterable[tuple[str, str]]) -> str:
    """Return the settings of a unit that another one has not, as a unit.

    Parameters
    ----------
    text, other
        The units.
    aside
        Settings that do not count, each by its section and key.
    """
    there = {chunk[:3] for chunk in chunks(other)}
    left_out = set(aside)
    lines, section = [], ""
    for chunk in chunks(text):
        if not chunk.key or chunk[:3] in there or chunk[:2] in left_out:
            continue
        if chunk.section != section:
            section = chunk.section
            lines.append(f"[{section}]\n")
        lines.append(_ended(chunk.text))
    return "".join(lines)


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def environment(texts: list[str], read: Callable[[str], str]) -> Environment:
    """Return the environment that a unit gives its program.

    Parameters
    ----------
    texts
        The unit and its drop-ins, in the order in which they count.
    read
        Returns the text of a file, empty when there is none.
    """
    found: Environment = {}
    for value in values(texts, "Environment"):
        for word in _split(value):
            name, _sign, text = word.partition("=")
            found[name] = text
    for path in environment_files(texts):
        for line in read(path).splitlines():
            name, sign, text = line.strip().partition("=")
            if sign and not name.startswith(COMMENTS):
                found[name.strip()] = " ".join(_split(text))
    return found


def environment_files(texts: list[str]) -> list[str]:
    """Return the files from which a unit reads its environment."""
    return [v.lstrip("-") for v in values(texts, "EnvironmentFile")]


def words(command: str, given: Environment) -> list[str]:
    """Return the words of a command as its program gets them."""
    found: list[str] = []
    for raw in WORD.findall(command):
        name = re.match(r"\$(\w+)$", raw)
        if name:
            # A variable that stands alone is as many words as there are in it.
            found += _split(given.get(name.group(1), ""))
        else:
            found.append(
                re.sub(r"\$\{(\w+)\}", lambda m: given.get(m[1], ""), _plain(raw))
            )
    if found:
        found[0] = found[0].lstrip(PREFIXES)
    return found


def take(command: str, keys: Iterable[str]) -> tuple[str, Taken]:
    """Take flags out of a command of dockerd.

    Parameters
    ----------
    command
        As it stands in a unit.
    keys
        Keys of daemon.json that say the same as the flags.

    Returns
    -------
    tuple
        The rest, and what the flags have said, by key.
    """
    names = {name: key for key in keys for name in _names(key)}
    rest: list[str] = []
    taken: Taken = {}
    found = iter(WORD.findall(command))
    for raw in found:
        name, sign, value = _plain(raw).partition("=")
        if name not in names and name[:2] in names and name[1:2] != "-":
            # A flag of one letter may have its value at once: -Hfd://.
            value = _plain(raw)[2:].lstrip("=")
            name, sign = name[:2], "="
        if name not in names:
            rest.append(raw)
            continue
        key = names[name]
        if not sign:
            value = "true" if key in SWITCHES else _plain(next(found, ""))
        taken.setdefault(key, []).append(value)
    return " ".join(rest), taken


def given(words: list[str], keys: Iterable[str]) -> Taken:
    """Return what flags among the words of a command say, by key of daemon.json."""
    return take(" ".join(map(shlex.quote, words)), keys)[1]


def flag(key: str) -> str:
    """Return the flag of dockerd that says the same as a key of daemon.json."""
    return f"--{SINGULAR.get(key, key)}"


def bridged(taken: Taken) -> dict[str, Any]:
    """Return what flags have said as keys of daemon.json, of those that hold many."""
    found: dict[str, Any] = {}
    for key, said in taken.items():
        if key == "log-opts":
            pairs = (value.partition("=") for value in said)
            found[key] = {name: text for name, _sign, text in pairs}
        elif key == "insecure-registries":
            found[key] = [part for value in said for part in value.split(",") if part]
    return found


def _names(key: str) -> list[str]:
    return [flag(key), *([SHORT[key]] if key in SHORT else [])]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _plain(raw: str) -> str:
    return " ".join(_split(raw))
