"""The control socket that a file names, whatever else stands in it; and its YAML."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fliswarm import config
from fliswarm.errors import ConfigError
from tests.unit.support.site import original

NODES = "image: flicamera\nnodes: {LAB: {gfa1: {host: h1}}}\n"

SOCKET = Path("/run/x.sock")


def named(folder: Path, content: str | bytes) -> Path | None:
    file = folder / "f.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return config.socket(file)


@pytest.mark.parametrize(
    "section",
    [
        "control: {socket: /run/x.sock}\n",
        "control:\n  socket: /run/x.sock\n",
        "control:\n\n  # where it is\n# and why\n  socket:\n    /run/x.sock\n",
        "control:\r\n  socket: /run/x.sock\r\n",
        "'control': {\n  'socket': '/run/x.sock' }  # here\n",
        '"control" : {"socket": "/run/x.sock"}\n',
    ],
)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        (NODES, ""),
        ("", NODES),
        # What no fleet can be made of.
        ("prot: 5\nimage: [a\n", NODES),
        ("", NODES + "nodes:\n\t- x: 'y\n"),
        ('image: "sdss/flicamera\n', NODES),
        ("# no control: {socket: /y}\nx: {control: {socket: /y}}\n", "controls: 5\n"),
    ],
)
def test_the_socket_of_a_file(
    tmp_path: Path, before: str, section: str, after: str
) -> None:
    assert named(tmp_path, before + section + after) == SOCKET


@pytest.mark.parametrize(
    "content",
    [
        '{"image": "x", "control": {"socket": "/run/x.sock"}}',
        "x: &x {socket: /run/x.sock}\ncontrol: *x\n",
        "x: &x\n  socket: /run/x.sock\ncontrol:\n  <<: *x\n",
        "  image: x\n  control:\n    socket: /run/x.sock\n",
        b"a: \xff\ncontrol: {socket: /run/x.sock}\n",
        "control: {socket: /run/x.sock}\ncontrol: {socket: /run/x.sock}\n",
    ],
)
def test_the_socket_of_a_file_written_in_another_way(
    tmp_path: Path, content: str | bytes
) -> None:
    assert named(tmp_path, content) == SOCKET


@pytest.mark.parametrize(
    "content",
    [
        *("", NODES, "control:\n", "control: /run/x.sock\n", "control: {socket: }\n"),
        *("control: {socket: 5}\n", "control: {socket: ''}\n", "control: [\n"),
        *("nodes: {LAB: {control: {socket: /y}}}\n", "- control\n", "control: 'a\n"),
        *("control: {" * 2000, "control: !!timestamp x", "control: {[a]: b}"),
        *("control: {socket: x.sock}", 'control: {socket: "/a\\0b"}'),
        b"\xff\xfe control",
    ],
)
def test_a_file_that_names_none(tmp_path: Path, content: str | bytes) -> None:
    assert named(tmp_path, content) is None


def test_the_socket_is_the_one_that_is_served(tmp_path: Path) -> None:
    """The lenient reading and the strict one agree."""
    file = original(tmp_path, "control: {socket: /run/x.sock}\n")
    assert config.socket(file) == config.load(file).control_socket == SOCKET


def test_another_observatory_s_file_names_it_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBSERVATORY", "KPNO")
    file = original(tmp_path, "control: {socket: /run/x.sock}\n")
    with pytest.raises(ConfigError):
        config.load(file)
    assert config.socket(file) == SOCKET


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        config.socket(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="null"):
        config.socket(Path("a\0b"))


def test_a_python_without_the_fast_reader(tmp_path: Path) -> None:
    """Libyaml may be missing: nothing but time may tell."""
    file = original(tmp_path, "control: {socket: /run/x.sock}\n")
    twice = tmp_path / "twice.yaml"
    twice.write_text(f"{NODES}image: other\n", "utf-8")
    broken = tmp_path / "broken.yaml"
    broken.write_text("control: {socket: /run/x.sock}\na: [1\nb: 2\n", "utf-8")
    deep = tmp_path / "deep.yaml"
    deep.write_text("[" * 5000, "utf-8")
    half = tmp_path / "half.yaml"
    half.write_text('image: "\\ud800"\nnodes: {LAB: {}}\n', "utf-8")
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "sys.modules['yaml._yaml'] = None\n"
        "import yaml\n"
        "from fliswarm import config\n"
        "from fliswarm.errors import ConfigError\n"
        "assert not hasattr(yaml, 'CSafeLoader')\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        fleet = config.load(Path(name), environment={})\n"
        "        print(*fleet.nodes)\n"
        "    except ConfigError as error:\n"
        "        print(str(error).partition('.yaml')[2])\n"
        "    print(config.socket(Path(name)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, file, twice, broken, deep, half],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        *("gfa1 gfa2 fvc", "/run/x.sock"),
        *(":3:1: the key 'image' stands twice", "None"),
    ]
    assert lines[4].startswith(":3:2: ")
    assert lines[5] == "/run/x.sock"
    assert lines[6] == ": is nested too deep"
    assert lines[8].startswith(": image: must be an image's name")
