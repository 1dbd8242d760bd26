"""One direction, one door: what each module may import."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fliswarm"

LAYERS = (
    {"errors", "model"},
    {"store"},
    {"config", "plan", "net"},
    {"site"},
    {"engine", "camera", "host", "hub"},
    {"change"},
    {"fleet"},
    {"record"},
    {"commands"},
    {"faces"},
    {"notify"},
    {"service"},
    {"cli"},
    {"__main__"},
)
"""Left to right; a module imports from the sets to its left and from its own folder."""

DOORS = {
    "docker": {"engine/sdk.py"},
    "requests": {"engine/transport.py"},
    "urllib3": {"engine/transport.py"},
    "cryptography": {"engine/tls.py"},
    "paramiko": {"host/ssh.py"},
    "ansible_runner": {"site/provision.py"},
    "rich": {"cli/"},
    "click": {"cli/", "commands/"},
    "msgspec": {"camera/message.py"},
    "yaml": {"config/file.py"},
    "sqlite3": {"record/record.py"},
}
"""Which modules may import an outside library."""


def _imports(file: Path) -> set[str]:
    """Return the full names of all modules that a file imports, wherever it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.Import(names):
                found.update(alias.name for alias in names)
            case ast.ImportFrom(module, names, 0):
                assert module is not None
                for alias in names:
                    inner = f"{module}.{alias.name}"
                    found.add(inner if _file(inner) else module)
            case ast.ImportFrom():
                pytest.fail(f"{file}: relative import")
    return found


def _file(module: str) -> Path | None:
    path = PACKAGE.parent.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


MODULES = {
    file.relative_to(PACKAGE).as_posix(): _imports(file)
    for file in sorted(PACKAGE.rglob("*.py"))
}


def _top(path: str) -> str:
    return path.partition("/")[0].removesuffix(".py")


def _layer(name: str) -> int:
    return next(index for index, names in enumerate(LAYERS) if name in names)


def _inner(imports: set[str]) -> set[str]:
    """Return those of the imported modules that are ours, without the package."""
    return {name for name in imports if name.startswith("fliswarm.")}


def test_the_table_names_every_module() -> None:
    known = {name for names in LAYERS for name in names} | {"__init__"}
    assert {_top(path) for path in MODULES} <= known


@pytest.mark.parametrize("path", [path for path in MODULES if path != "__init__.py"])
def test_imports_come_from_the_left(path: str) -> None:
    own = _top(path)
    for name in _inner(MODULES[path]):
        other = name.split(".")[1]
        assert other == own or _layer(other) < _layer(own), f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES)
def test_a_module_is_read_in_one_go(path: str) -> None:
    assert len((PACKAGE / path).read_text("utf-8").splitlines()) <= 350


def test_there_is_no_cycle() -> None:
    graph = {path: set[str]() for path in MODULES}
    for path, imports in MODULES.items():
        for name in _inner(imports):
            file = _file(name)
            assert file is not None, f"{path} imports {name}, which is not there"
            graph[path].add(file.relative_to(PACKAGE).as_posix())
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(MODULES)


@pytest.mark.parametrize("library", DOORS)
def test_each_library_has_one_door(library: str) -> None:
    users = {
        path
        for path, imports in MODULES.items()
        if library in {name.partition(".")[0] for name in imports}
    }
    strangers = {path for path in users if not path.startswith(tuple(DOORS[library]))}
    assert not strangers
    assert users


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import json, sys\n"
        "from fliswarm.cli import main\n"
        "sys.argv = ['fliswarm', '--help']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "Usage: fliswarm" in done.stdout
    loaded = {name.partition(".")[0] for name in json.loads(done.stderr)}
    assert "click" in loaded
    assert not loaded & {"yaml", "docker", "rich", "ansible_runner", "requests"}
