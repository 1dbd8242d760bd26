"""What may be written for each noun of the configuration: patterns and ranges, as data.

Whatever reaches a Docker Engine, a path or a wire has its row here, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fliswarm.config import address

T_co = TypeVar("T_co", covariant=True)


class Noun(Protocol[T_co]):
    """One row of the table."""

    @property
    def right(self) -> str:
        """What would be right, as it follows "must be"."""

    def take(self, value: object) -> T_co | None:
        """Return what a value of the file means; ``None`` when it does not fit."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a pattern, and of at most ``longest`` bytes."""

    right: str
    pattern: str
    longest: int = 255

    def take(self, value: object) -> str | None:
        """See `Noun.take`."""
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            return None
        return value if len(value.encode("utf-8", "replace")) <= self.longest else None


@dataclass(frozen=True, slots=True)
class Form:
    """A text that ``read`` understands."""

    right: str
    read: Callable[[str], str | None]

    def take(self, value: object) -> str | None:
        """See `Noun.take`."""
        return self.read(value) if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number in a range, whose ends are in it."""

    right: str
    low: int
    high: int

    def take(self, value: object) -> int | None:
        """See `Noun.take`."""
        # bool is an int in Python; a port of `true` is a mistake all the same.
        if not isinstance(value, int) or isinstance(value, bool):
            return None
        return value if self.low <= value <= self.high else None


@dataclass(frozen=True, slots=True)
class Real:
    """A number in a range, whose ends are in it."""

    right: str
    low: float
    high: float

    def take(self, value: object) -> float | None:
        """See `Noun.take`."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        # What is no number is in no range.
        return float(value) if self.low <= value <= self.high else None


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    right: str = "true or false"

    def take(self, value: object) -> bool | None:
        """See `Noun.take`."""
        return value if isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def right(self) -> str:
        """See `Noun.right`."""
        return f"one of {', '.join(self.words)}"

    def take(self, value: object) -> str | None:
        """See `Noun.take`."""
        return value if isinstance(value, str) and value in self.words else None


def _engine(text: str) -> str | None:
    return text if address.engine(text) else None


_CONTROL = r"\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff"
"""What ends a line somewhere, or is no character."""

_DOCKER = r"[A-Za-z0-9][A-Za-z0-9_.-]*"

_DOMAIN = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:]+\])"
)

# Without a dot or a port, Docker takes the first word for a user of Docker Hub.
_REGISTRY = rf"(?:localhost|(?=[^/]*[.:]){_DOMAIN})(?::[0-9]{{1,5}})?"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"

_REPOSITORY = rf"{_COMPONENT}(?:/{_COMPONENT})*"

_WORD = r"[A-Za-z0-9_.:/@%+,=-]+"

NAME = Text(
    "a name of letters, digits, '_', '-' and single '.', the first a letter or digit",
    # Two dots are a range, and other signs a glob or a list, where nodes are selected.
    r"(?!.*\.\.)" + _DOCKER,
    63,
)

SITE = Text(
    "an observatory of letters, digits, '_', '.' and '-', such as APO",
    r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
    63,
)

CATEGORY = Text(
    "a category of letters, digits, '_', '.' and '-', such as gfa",
    r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
    63,
)

HOST = Form("a host's name or address, such as sdss-gfa1 or fd00::1", address.host)

ENGINE = Form(
    "tcp://HOST[:PORT], https://HOST[:PORT], unix:///PATH "
    "or ssh://[USER@]HOST[:PORT], an IPv6 address in brackets",
    _engine,
)

PORT = Whole("a TCP port (1 to 65535)", 1, 65535)

USER = Text("a login name, such as sdss", address.USER)

# The range of Docker and of Linux.
OWNER = Whole("the number of a user or group (0 to 2147483647)", 0, 2**31 - 1)

CONTAINER = Text(
    "a name of letters, digits, '_', '.' and '-', the first a letter or digit",
    _DOCKER,
    127,
)

IMAGE = Text(
    "an image's name such as sdss/flicamera:latest, or NAME@sha256:DIGEST",
    rf"(?:{_REGISTRY}/)?{_REPOSITORY}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
    r"(?:@sha256:[0-9a-f]{64})?",
    511,
)

REGISTRY = Text("HOST:PORT, such as sdss-hub:5000", rf"{_REGISTRY}(?:/{_REPOSITORY})?")

VOLUME = Text(
    "a volume's name of letters, digits, '_', '.' and '-', the first a letter or digit",
    _DOCKER,
    127,
)

DRIVER = Text(
    "the name of a volume driver, such as local", r"[A-Za-z0-9][A-Za-z0-9_.:/-]*"
)

# The mount point cannot be the root, nor lead back to it.
MOUNT = Text(
    "the exported path, which is the mount point as well, such as :/data",
    rf":*(?:/+(?!\.{{1,2}}(?:/|$))[^/{_CONTROL}]+)+/*",
    4095,
)

OPTION = Text(
    "the name of an option, without blanks and '='", rf"[^\s={_CONTROL}]+", 255
)

VARIABLE = Text(
    "the name of a variable, without blanks and '='", rf"[^\s={_CONTROL}]+", 255
)

VALUE = Text("text without NUL, a date in quotes", r"[^\x00\ud800-\udfff]*", 131072)

PATH = Text("an absolute path", rf"/[^{_CONTROL}]*", 4095)

SOCKET = Text(
    f"an absolute path of at most {address.SOCKET_LENGTH} bytes",
    rf"/[^{_CONTROL}]+",
    address.SOCKET_LENGTH,
)

FOLDER = Text("the path of a folder", rf"[^{_CONTROL}]+", 4095)

ACTOR = Text(
    "an actor's name of letters, digits, '_', '.' and '-', the first a letter",
    r"[A-Za-z][A-Za-z0-9_.-]*",
    63,
)

COMMAND = Text(
    "a command on one line, whose quotes are closed",
    rf"""(?!\s)(?:[^'"\\{_CONTROL}]|\\[^{_CONTROL}]|'[^'{_CONTROL}]*'"""
    rf"""|"(?:[^"\\{_CONTROL}]|\\[^{_CONTROL}])*")+""",
    1023,
)

DEVICE = Text("a device, such as nuc1", rf"{_WORD}(?: {_WORD})*")

SECONDS = Real("a number of seconds (0.01 to 3600)", 0.01, 3600.0)

# Docker's smallest share of a processor is 1 ms in 100 ms.
CPUS = Real("a number of processors (0.01 to 4096)", 0.01, 4096.0)

MEMORY = Text(
    "a size such as 6g or 512m",
    r"[1-9][0-9]{0,8}[kmgKMG]|[1-9][0-9]{0,17}[bB]?",
)

FLAG = Flag()

POLICY = OneOf(("no", "on-failure", "always", "unless-stopped"))

COMMANDS = OneOf(("original", "all"))
