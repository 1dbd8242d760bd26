"""Write the roles' README from their specifications: ``python -m tests.readmes``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROLES = sorted(Path(__file__).parents[1].glob("collection/roles/*/"))


def load(role: Path, name: str) -> Any:  # noqa: ANN401  what YAML holds
    """Return what one of a role's files says."""
    return yaml.safe_load((role / name).read_text("utf-8"))


def specs(role: Path) -> dict[str, dict[str, Any]]:
    """Return the specifications of a role's entry points, ``main`` among them."""
    return dict(load(role, "meta/argument_specs.yml")["argument_specs"])


def readme(role: Path) -> str:
    """Return the README of a role."""
    entries, defaults = specs(role), load(role, "defaults/main.yml")
    main = entries.pop("main")
    lines = [f"# sdss.fliswarm.{role.name}", "", *_words(main)]
    lines += ["", "| variable | type | default | |", "|---|---|---|---|"]
    for name, option in main["options"].items():
        kind = option["type"]
        if "elements" in option:
            kind += f" of {option['elements']}"
        words = _plain(option["description"])
        if "choices" in option:
            words += f" One of {', '.join(f'`{one}`' for one in option['choices'])}."
        lines.append(f"| `{name}` | {kind} | {_default(defaults[name])} | {words} |")
    for name, entry in entries.items():
        lines += ["", f"## Entry point `{name}`", "", *_words(entry)]
        if entry["options"]:
            names = ", ".join(f"`{option}`" for option in entry["options"])
            lines += ["", f"Its variables are {names}, as above."]
    return "\n".join([*lines, ""])


def _words(entry: dict[str, Any]) -> list[str]:
    points = [f"- {_plain(text)}" for text in entry["description"]]
    return [f"{entry['short_description']}.", "", *points]


def _plain(text: str) -> str:
    return re.sub(r"[CO]\((.*?)\)", r"`\1`", text).replace("|", r"\|").strip()


def _default(value: object) -> str:
    """Return a default as text; one that is computed is explained, not shown."""
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`" if text and "{{" not in text else ""


if __name__ == "__main__":
    for role in ROLES:
        (role / "README.md").write_text(readme(role), "utf-8")
