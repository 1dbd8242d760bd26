"""A mapping of the file, read key by key; what nobody asked for is an error."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from fliswarm.config.table import Noun
from fliswarm.errors import ConfigError

T = TypeVar("T")


class Section:
    """One mapping.

    An empty text says as little as no value, wherever a key may be left out.

    Parameters
    ----------
    file, path
        Where it stands, for errors.
    value
        What stands there.

    Raises
    ------
    ConfigError
        When it is no mapping, or has a key that is no text.
    """

    def __init__(self, file: Path, path: str, value: object) -> None:
        self._file = file
        self._path = path
        if not isinstance(value, dict):
            raise self.error("", f"must be a mapping, not {shown(value)}")
        for key in value:
            if not isinstance(key, str):
                problem = f"the key {shown(key)} is no text to YAML: write it in quotes"
                raise self.error("", problem)
        self._values: dict[str, object] = value
        self._known: set[str] = set()
        self._opened: dict[str, Section] = {}

    def error(self, key: str, problem: str) -> ConfigError:
        """Return the error that a key's value has this problem."""
        path = "/".join(part for part in (self._path, key) if part)
        return ConfigError(
            f"{self._file}: {path}" if path else str(self._file), problem
        )

    def wrong(self, key: str, noun: Noun[object], value: object) -> ConfigError:
        """Return the error that a value is not what the table has."""
        return self.error(key, f"must be {noun.right}, not {shown(value)}")

    def raw(self, key: str) -> object:
        """Return a value as it stands, ``None`` when there is none."""
        self._known.add(key)
        return self._values.get(key)

    def has(self, key: str) -> bool:
        """Return whether a key has a value."""
        return self.raw(key) is not None

    def get(self, key: str, noun: Noun[T]) -> T:
        """Return a value that must be there."""
        value = self.raw(key)
        if value is None:
            raise self.error(key, f"is missing; it must be {noun.right}")
        taken = noun.take(value)
        if taken is None:
            raise self.wrong(key, noun, value)
        return taken

    def optional(self, key: str, noun: Noun[T]) -> T | None:
        """Return a value that may be left out."""
        return None if self.raw(key) in (None, "") else self.get(key, noun)

    def default(self, key: str, noun: Noun[T], default: T) -> T:
        """Return a value that may be left out, or what it is then."""
        value = self.optional(key, noun)
        return default if value is None else value

    def names(self, key: str, noun: Noun[str]) -> list[str]:
        """Return a list of names."""
        value = self.raw(key)
        if not isinstance(value, list):
            raise self.error(key, f"must be a list of names, not {shown(value)}")
        for name in value:
            if noun.take(name) is None:
                raise self.wrong(key, noun, name)
        return value

    def section(self, key: str) -> Section:
        """Return a mapping within this one, empty when there is none."""
        self._known.add(key)
        if key not in self._opened:
            path = f"{self._path}/{key}" if self._path else key
            value = self._values.get(key)
            self._opened[key] = Section(
                self._file, path, {} if value is None else value
            )
        return self._opened[key]

    def sections(self, noun: Noun[str]) -> Iterator[tuple[str, Section]]:
        """Yield all mappings within this one, by names that the site gives."""
        for key in self._values:
            if noun.take(key) is None:
                raise self.error("", f"{shown(key)} must be {noun.right}")
            yield key, self.section(key)

    def texts(self, key: str, name: Noun[str], value: Noun[str]) -> dict[str, str]:
        """Return a mapping of scalars as text, as environments and options are."""
        section = self.section(key)
        section._known.update(section._values)
        found = {}
        for word, item in section._values.items():
            if name.take(word) is None:
                raise section.error("", f"{shown(word)} must be {name.right}")
            taken = value.take(_text(item))
            if taken is None:
                raise section.wrong(word, value, item)
            found[word] = taken
        return found

    def done(self) -> None:
        """Refuse the keys that nobody asked for, here and below."""
        for key in self._values:
            if key not in self._known:
                raise self.error(key, "is not a known key" + suggest(key, self._known))
        for section in self._opened.values():
            section.done()


def _text(value: object) -> object:
    """Return the text of a value that a text may be written as."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def shown(value: object) -> str:
    """Return a value as an error shows it: short, however large it is."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        what = "a mapping" if isinstance(value, dict) else "a list"
        return f"{what}: {_SHORT.repr(value)}"
    return _SHORT.repr(value)


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean ...?"`` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = 120
