"""The file itself: where it is, and the YAML in it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Hashable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from fliswarm.config import table
from fliswarm.errors import ConfigError

try:
    # Ten times as fast as the other one, which every Python has.
    from yaml import CSafeLoader as _SafeLoader
except ImportError:
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

SYSTEM_CONFIG = Path("/etc/fliswarm/fliswarm.yaml")
"""Where the ``controller`` role puts the configuration."""

NUMBER_BITS = 64
"""Bits of the largest whole number; Python would not even print all of them."""

_CONTROL = re.compile(
    r"""^(["']?)control\1[ \t]*:.*(?:\n(?:[ \t#].*|[ \t\r]*(?=\n)))*""", re.MULTILINE
)
"""The section ``control`` of the file, to the next line that is not indented."""


def find(explicit: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the configuration file to use.

    In order: the one asked for, ``$FLISWARM_CONFIG``, ``/etc/fliswarm/fliswarm.yaml``,
    and the packaged one with the two SDSS sites.
    """
    if explicit is not None:
        return explicit
    if named := environment.get("FLISWARM_CONFIG"):
        return Path(named)
    if SYSTEM_CONFIG.exists():
        return SYSTEM_CONFIG
    return Path(str(resources.files("fliswarm").joinpath("etc/fliswarm.yaml")))


def read(file: Path, text: str | None = None) -> object:
    """Return what stands in a file, in which no key stands twice.

    ``text`` is what will stand there, when it is not the file's own yet.

    Raises
    ------
    ConfigError
        Naming the line, when it is not YAML.
    """
    try:
        # S506: the loader is a SafeLoader.
        content = _bytes(file).decode("utf-8") if text is None else text
        return yaml.load(content, _Strict)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise ConfigError(where, error.problem or "is not YAML") from error
    except RecursionError as error:
        raise ConfigError(str(file), "is nested too deep") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(str(file), f"is not YAML: {error}") from error


def flow(value: object) -> str:
    """Return a value as YAML on one line, as it stands within brackets."""
    return _dumped([value], flow=True)[1:-1]


def entry(key: str, value: object) -> str:
    """Return a key and its plain value as YAML on one line."""
    if isinstance(value, str) and "\n" not in value:
        return _dumped({key: value}, flow=False)
    return f"{flow(key)}: {flow(value)}"


def _dumped(value: object, *, flow: bool) -> str:
    text = yaml.safe_dump(
        value,
        default_flow_style=flow,
        allow_unicode=True,
        width=sys.maxsize,
        sort_keys=False,
    )
    return text.strip()


def socket(file: Path) -> Path | None:
    """Return the control socket that a file names, ``None`` when it names none.

    A running controller is to be found with whatever became of the rest of its file
    since it started: nothing else is read or checked.

    Raises
    ------
    ConfigError
        When the file cannot be read at all.
    """
    text = _bytes(file).decode("utf-8", "replace")
    if "control" not in text:
        return None
    found = _CONTROL.search(text)
    # A file whose keys are not at the beginning of a line is read as a whole.
    for part in ([found[0]] if found else []) + [text]:
        try:
            # S506: the loader is a SafeLoader.
            value = yaml.load(part, _Loader)  # noqa: S506
        except (yaml.YAMLError, ValueError, RecursionError):
            continue
        for key in ("control", "socket"):
            value = value.get(key) if isinstance(value, dict) else None
        if named := table.SOCKET.take(value):
            return Path(named)
    return None


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(str(file), error.strerror or str(error)) from error
    except ValueError as error:
        raise ConfigError(repr(str(file)), str(error)) from error


class _Loader(_SafeLoader):
    """YAML whose every fault is an error of YAML's, with its place."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401  YAML's own
        try:
            value = super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as error:
            # Its conversions fail in whatever way a text that does not fit makes them.
            raise yaml.constructor.ConstructorError(
                None, None, f"is not what its tag says: {error}", node.start_mark
            ) from error
        if isinstance(value, int) and value.bit_length() > NUMBER_BITS:
            raise yaml.constructor.ConstructorError(
                None, None, "is too large a number", node.start_mark
            )
        return value


class _Strict(_Loader):
    """YAML in which a key that stands twice is an error, not a lost value."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice", key_node.start_mark
                )
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)
