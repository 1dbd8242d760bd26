"""The environment in which Ansible runs: ours, with what its user has set up."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from pathlib import Path

from fliswarm.errors import ConfigError
from fliswarm.site.share import Share

DEFAULTS = {
    ("defaults", "forks"): "ANSIBLE_FORKS",
    ("defaults", "interpreter_python"): "ANSIBLE_PYTHON_INTERPRETER",
    ("defaults", "host_key_checking"): "ANSIBLE_HOST_KEY_CHECKING",
    ("defaults", "inject_facts_as_vars"): "ANSIBLE_INJECT_FACT_VARS",
    ("defaults", "localhost_warning"): "ANSIBLE_LOCALHOST_WARNING",
    ("inventory", "enable_plugins"): "ANSIBLE_INVENTORY_ENABLED",
    ("inventory", "any_unparsed_is_failed"): "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED",
    ("inventory", "inventory_unparsed_warning"): "ANSIBLE_INVENTORY_UNPARSED_WARNING",
    ("connection", "pipelining"): "ANSIBLE_PIPELINING",
    ("ssh_connection", "ssh_args"): "ANSIBLE_SSH_ARGS",
}
"""Settings of our ansible.cfg, and the variable that stands for each in a user's."""

COLLECTIONS = "~/.ansible/collections:/usr/share/ansible/collections"
"""Where Ansible itself looks for collections."""


def user_config(environment: Mapping[str, str], folder: Path) -> Path | None:
    """Return the user's own ansible.cfg, looked for as Ansible does, or ``None``."""
    places = [folder / "ansible.cfg", Path("~/.ansible.cfg").expanduser()]
    # Ansible trusts no file in a folder where everybody writes.
    if folder.stat().st_mode & 0o002:
        del places[0]
    if named := environment.get("ANSIBLE_CONFIG"):
        path = Path(named).expanduser()
        places.insert(0, path / "ansible.cfg" if path.is_dir() else path)
    return next((place.absolute() for place in places if place.is_file()), None)


def ansible_environment(
    environment: Mapping[str, str], folder: Path, shared: Share
) -> dict[str, str]:
    """Return what Ansible needs in its environment to find us and itself.

    A setting of ours stands where the user's own ansible.cfg and environment say
    nothing.

    Parameters
    ----------
    environment
        The user's.
    folder
        Where the user is.
    shared
        Our files.
    """
    ours = _settings(shared.config)
    own = user_config(environment, folder)
    theirs = _settings(own) if own else ConfigParser(interpolation=None)
    settings = {
        variable: ours[section][key]
        for (section, key), variable in DEFAULTS.items()
        if variable not in environment and not theirs.has_option(section, key)
    }
    # ansible-runner turns the check off where the environment does not say otherwise.
    checking = "ANSIBLE_HOST_KEY_CHECKING"
    if checking not in environment:
        settings[checking] = theirs.get(
            "defaults", "host_key_checking", fallback="True"
        )
    programs = Path(sys.executable).parent
    return {
        **settings,
        "ANSIBLE_CONFIG": str(own or shared.config),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(
            [str(shared.collections), *_collections(environment, own, theirs)]
        ),
        "PATH": f"{programs}{os.pathsep}{environment.get('PATH', os.defpath)}",
    }


def _collections(
    environment: Mapping[str, str], own: Path | None, theirs: ConfigParser
) -> list[str]:
    """Return where the user's own collections are."""
    if named := environment.get("ANSIBLE_COLLECTIONS_PATH"):
        return [str(Path(p).expanduser().absolute()) for p in named.split(":")]
    written = theirs.get("defaults", "collections_path", fallback=COLLECTIONS)
    base = own.parent if own else Path("/")
    return [str(base / Path(path).expanduser()) for path in written.split(":")]


def _settings(file: Path) -> ConfigParser:
    """Return the settings of an ansible.cfg, whose values may hold a percent sign.

    Raises
    ------
    ConfigError
        When it is not one.
    """
    settings = ConfigParser(
        interpolation=None, inline_comment_prefixes=(";",), strict=False
    )
    try:
        settings.read_string(file.read_text("utf-8"))
    except (OSError, ConfigParserError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), str(error)) from error
    return settings
