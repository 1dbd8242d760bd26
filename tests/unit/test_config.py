from __future__ import annotations

from pathlib import Path

import pytest

from fliswarm import config
from fliswarm.errors import EXIT_CONFIG, ConfigError
from fliswarm.model import Fleet, Limits, Power, Volume
from tests.unit.support.certificates import Authority, client
from tests.unit.support.site import original

SMALL = """\
image: flicamera
nodes:
  LAB:
    gfa1: {host: h1}
"""


def load(
    folder: Path,
    text: str,
    *,
    environment: dict[str, str] | None = None,
    nodes: list[str] | None = None,
) -> Fleet:
    file = folder / "f.yaml"
    file.write_text(text, "utf-8")
    return config.load(file, environment=environment or {}, nodes=nodes)


def refused(
    folder: Path,
    text: str,
    *,
    environment: dict[str, str] | None = None,
    nodes: list[str] | None = None,
) -> str:
    """Return what is said about a file, without its folder."""
    with pytest.raises(ConfigError) as error:
        load(folder, text, environment=environment, nodes=nodes)
    assert error.value.exit_code == EXIT_CONFIG
    return str(error.value).removeprefix(f"{folder}/")


def test_the_least_that_is_enough(tmp_path: Path) -> None:
    fleet = load(tmp_path, SMALL)
    node = fleet.nodes["gfa1"]
    assert fleet.observatory == "LAB"
    assert fleet.enabled == ("gfa1",)
    assert fleet.registry is None
    assert fleet.container_name == "flicamera"
    assert fleet.privileged is True
    assert fleet.restart_policy == "unless-stopped"
    assert fleet.limits == Limits("6g", 3.5)
    assert fleet.volumes == ()
    assert fleet.control_socket is None
    assert fleet.ping_timeout == 0.6
    assert fleet.actor.commands == "original"
    assert (fleet.actor.name, fleet.actor.host) == ("fliswarm", "0.0.0.0")
    assert (fleet.actor.port, fleet.actor.tron_port) == (19996, 6093)
    assert (node.engine, node.port, node.user) == ("tcp://h1:2375", 19995, "sdss")
    assert (node.uid, node.gid, node.category, node.power) == (None,) * 4
    assert node.environment == {}


def test_the_original_s_file_as_it_is(tmp_path: Path) -> None:
    fleet = config.load(original(tmp_path), environment={})
    gfa1, gfa2, fvc = fleet.nodes.values()
    assert fleet.observatory == "APO"
    assert fleet.enabled == ("gfa1", "fvc")
    assert fleet.image_reference == "sdss-hub:5000/sdss/flicamera:latest"
    assert (fleet.actor.tron_host, fleet.actor.tron_port) == ("sdss5-hub", 6093)
    assert (gfa1.uid, gfa1.gid, gfa1.category) == (2005, 3005, "gfa")
    assert gfa1.power == Power("jaeger", "ieb switch --on", "ieb switch --off", "nuc1")
    assert gfa2.engine == "tcp://sdss-gfa2:2375"
    assert fvc.power is None
    assert [volume.target for volume in fleet.volumes] == ["/home/sdss5", "/data"]
    assert fleet.volumes[1] == Volume(
        "data", "local", {"type": "nfs", "o": "addr=hub,rw", "device": ":/data"}
    )


def test_the_packaged_file_serves_both_sites(tmp_path: Path) -> None:
    packaged = config.find(None, {})
    if packaged == config.SYSTEM_CONFIG:
        pytest.skip("this computer has a configuration of its own")
    for site in ("APO", "LCO"):
        fleet = config.load(packaged, environment={"OBSERVATORY": site})
        assert fleet.observatory == site
        assert len(fleet.enabled) == 7
    assert tmp_path / "x" == config.find(tmp_path / "x", {"FLISWARM_CONFIG": "/y"})
    assert config.find(None, {"FLISWARM_CONFIG": "/y"}) == Path("/y")


def test_the_observatory_is_chosen_by_the_environment(tmp_path: Path) -> None:
    file = original(tmp_path, "observatory: APO\n")
    lco = config.load(file, environment={"OBSERVATORY": "LCO"})
    assert (lco.observatory, lco.nodes["gfa1"].host) == ("LCO", "lco-gfa1")


def test_the_observatory_is_chosen_by_the_file(tmp_path: Path) -> None:
    file = original(tmp_path, "observatory: LCO\n")
    assert config.load(file, environment={}).observatory == "LCO"


def test_what_is_ours(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        SMALL
        + "privileged: false\n"
        + "limits: {memory: null, cpus: 2}\n"
        + "restart_policy: 'no'\n"
        + "control: {socket: /run/x.sock}\n",
    )
    assert fleet.privileged is False
    assert fleet.limits == Limits(None, 2.0)
    assert fleet.restart_policy == "no"
    assert fleet.control_socket == Path("/run/x.sock")


def test_an_environment_is_text(tmp_path: Path) -> None:
    text = SMALL.replace("h1}", "h1, environment: {A: 1, B: true, C: x, D: 1.5}}")
    assert load(tmp_path, text).nodes["gfa1"].environment == {
        "A": "1",
        "B": "true",
        "C": "x",
        "D": "1.5",
    }


def test_a_node_s_power_overrides_the_site_s(tmp_path: Path) -> None:
    power = "power: {actor: a, command: {poweron: up, poweroff: down}}\n"
    own = "h1, power: {device: d, actor: b, command: {poweron: rise}}}"
    fleet = load(tmp_path, SMALL.replace("h1}", own) + power)
    assert fleet.nodes["gfa1"].power == Power("b", "rise", "down", "d")


def test_power_without_an_actor_is_a_program_s(tmp_path: Path) -> None:
    own = "h1, power: {device: d, command: {poweron: up, poweroff: down}}}"
    fleet = load(tmp_path, SMALL.replace("h1}", own))
    assert fleet.nodes["gfa1"].power == Power(None, "up", "down", "d")


def test_the_asked_nodes_are_enabled_instead(tmp_path: Path) -> None:
    file = original(tmp_path)
    fleet = config.load(file, environment={}, nodes=["gfa2", "gfa1", "gfa2"])
    assert fleet.enabled == ("gfa2", "gfa1")


@pytest.mark.parametrize(
    ("added", "path", "hint"),
    [
        ("regisry: x", "regisry", "registry"),
        ("actor: {prot: 1}", "actor/prot", "port"),
        ("limits: {memroy: 1g}", "limits/memroy", "memory"),
        ("control: {sokcet: /x}", "control/sokcet", "socket"),
        ("power: {acter: x}", "power/acter", "actor"),
        ("power: {command: {powerof: x}}", "power/command/powerof", "poweroff"),
        (
            "volumes: {data: {drver: x, opts: {device: ':/d'}}}",
            "volumes/data/drver",
            "driver",
        ),
        ("enabled_nodes: {LAP: [gfa1]}", "enabled_nodes/LAP", "LAB"),
    ],
)
def test_an_unknown_key(tmp_path: Path, added: str, path: str, hint: str) -> None:
    problem = refused(tmp_path, f"{SMALL}{added}\n")
    assert problem == f"f.yaml: {path}: is not a known key; did you mean '{hint}'?"


@pytest.mark.parametrize(
    ("added", "path", "hint"),
    [
        ("prot: 5", "prot", "port"),
        ("docker_uid: 5", "docker_uid", "docker-uid"),
        (
            "power: {device: d, actor: a, commnd: {}}",
            "power/commnd",
            "command",
        ),
    ],
)
def test_an_unknown_key_of_a_node(
    tmp_path: Path, added: str, path: str, hint: str
) -> None:
    power = "power: {actor: a, command: {poweron: up, poweroff: down}}\n"
    text = SMALL.replace("h1}", f"h1, {added}}}") + power
    assert refused(tmp_path, text) == (
        f"f.yaml: nodes/LAB/gfa1/{path}: is not a known key; did you mean '{hint}'?"
    )


def test_an_unknown_key_that_is_like_no_other(tmp_path: Path) -> None:
    assert refused(tmp_path, SMALL + "zzz: 1\n") == "f.yaml: zzz: is not a known key"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("port: '5'", "port: must be a TCP port (1 to 65535), not '5'"),
        ("port: true", "port: must be a TCP port (1 to 65535), not true"),
        ("port: 0", "port: must be a TCP port (1 to 65535), not 0"),
        ("port: 65536", "port: must be a TCP port (1 to 65535), not 65536"),
        ("user: 5", "user: must be a login name, such as sdss, not 5"),
        (
            "category: [gfa]",
            "category: must be a category of letters, digits, '_', '.' and '-', such "
            "as gfa, not a list: ['gfa']",
        ),
        (
            "docker-uid: root",
            "docker-uid: must be the number of a user or group (0 to 2147483647), not "
            "'root'",
        ),
        (
            "docker-client: https://h1:2376",
            "docker-client: https://h1:2376 needs the section "
            "docker-tls: {ca, cert, key}",
        ),
        ("environment: [A]", "environment: must be a mapping, not a list: ['A']"),
        (
            "environment: {A: [1]}",
            "environment/A: must be text without NUL, a date in quotes, "
            "not a list: [1]",
        ),
        (
            "environment: {A: }",
            "environment/A: must be text without NUL, a date in quotes, not empty",
        ),
        ("power: nuc1", "power: must be a mapping, not 'nuc1'"),
        (
            "power: {device: nuc1}",
            "power/command/poweron: is neither here nor in the site's 'power'",
        ),
    ],
)
def test_a_wrong_value_of_a_node(tmp_path: Path, change: str, problem: str) -> None:
    text = SMALL.replace("h1}", f"h1, {change}}}")
    assert refused(tmp_path, text) == f"f.yaml: nodes/LAB/gfa1/{problem}"


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        ("registry: 5", "registry: must be HOST:PORT, such as sdss-hub:5000, not 5"),
        ("privileged: 'no'", "privileged: must be true or false, not 'no'"),
        (
            "ping_timeout: fast",
            "ping_timeout: must be a number of seconds (0.01 to 3600), not 'fast'",
        ),
        ("actor: {port: 99999}", "actor/port: must be a TCP port (1 to 65535), not"),
        (
            "limits: {cpus: 0}",
            "limits/cpus: must be a number of processors (0.01 to 4096), not 0",
        ),
        ("restart_policy: never", "restart_policy: must be one of no, on-failure"),
        ("volumes: {data: {}}", "volumes/data/opts/device: is missing; it must be"),
        (
            "volumes: {data: {opts: {device: data}}}",
            "volumes/data/opts/device: must be the exported path, which is the mount "
            "point as well, such as :/data, not 'data'",
        ),
        ("volumes: [data]", "volumes: must be a mapping, not a list: ['data']"),
        ("enabled_nodes: {LAB: gfa1}", "enabled_nodes/LAB: must be a list of names"),
        ("enabled_nodes: {LAB: [1]}", "enabled_nodes/LAB: must be a name of letters"),
        (
            "enabled_nodes: {LAB: [gfa2]}",
            "enabled_nodes/LAB: 'gfa2' is not a node of LAB; did you mean 'gfa1'?",
        ),
        (
            "enabled_nodes: {LAB: [xyz]}",
            "enabled_nodes/LAB: 'xyz' is not a node of LAB; it has gfa1",
        ),
        ("power: {actor: 1}", "power/actor: must be an actor's name"),
        ("control: /run/x", "control: must be a mapping, not '/run/x'"),
        ("docker-tls: {ca: /c, cert: /d}", "docker-tls/key: is missing"),
        ("docker-tls: {ca: /c, key: /d}", "docker-tls/cert: is missing"),
        ("docker-tls: {cert: /c, key: /d}", "docker-tls/ca: is missing"),
        (
            "docker-tls: {ca: /c, cert: 1, key: /d}",
            "docker-tls/cert: must be an absolute path, not 1",
        ),
        (
            "docker-tls: {ca: /c, cert: /d, key: /e, kex: /f}",
            "docker-tls/kex: is not a known key; did you mean 'key'?",
        ),
        ("docker-tls: /etc/tls", "docker-tls: must be a mapping, not '/etc/tls'"),
        (
            "observatory: APO",
            "nodes: has no site 'APO' (observatory); it has LAB",
        ),
    ],
)
def test_a_wrong_value_of_the_site(tmp_path: Path, added: str, problem: str) -> None:
    assert refused(tmp_path, f"{SMALL}{added}\n").startswith(f"f.yaml: {problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f.yaml: nodes: is missing or empty: no site has any node"),
        ("- a\n", "f.yaml: must be a mapping, not a list: ['a']"),
        (SMALL.replace("image: flicamera\n", ""), "f.yaml: image: is missing"),
        (SMALL.replace("flicamera", "a b"), "f.yaml: image: must be an image's name"),
        (SMALL.replace("flicamera", "a@b"), "f.yaml: image: must be an image's name"),
        (SMALL.replace("{host: h1}", ""), "f.yaml: nodes/LAB/gfa1/host: is missing"),
        (
            SMALL.replace("{host: h1}", "h1"),
            "f.yaml: nodes/LAB/gfa1: must be a mapping, not 'h1'",
        ),
        (SMALL + "image: other\n", "f.yaml:5:1: the key 'image' stands twice"),
        (
            SMALL + "    gfa1: {host: h2}\n",
            "f.yaml:5:5: the key 'gfa1' stands twice",
        ),
        (
            SMALL.replace("host: h1", "host: h1, host: h2"),
            "f.yaml:4:22: the key 'host' stands twice",
        ),
        (SMALL + "a: [1\nb: 2\n", "f.yaml:6:2: "),
        (SMALL + "\tb: 2\n", "f.yaml:5:1: "),
        (SMALL + "a: !!python/name:os.system\n", "f.yaml:5:4: "),
        (SMALL + "---\nb: 1\n", "f.yaml:"),
        (SMALL + "a: \x00\n", "f.yaml: is not YAML: "),
        (SMALL + "? [a]\n: b\n", "f.yaml:5:"),
        (SMALL + "container_name: 2001-99-99\n", "f.yaml"),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, problem: str) -> None:
    assert refused(tmp_path, text).startswith(problem)


def test_a_merge_key_is_no_repetition(tmp_path: Path) -> None:
    text = """\
image: flicamera
nodes:
  LAB:
    gfa1: &base {host: h1, user: me}
    gfa2: {<<: *base, host: h2}
"""
    fleet = load(tmp_path, text)
    assert (fleet.nodes["gfa2"].host, fleet.nodes["gfa2"].user) == ("h2", "me")


def test_the_environment_s_observatory_is_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path, SMALL, environment={"OBSERVATORY": "KPNO"}) == (
        "f.yaml: nodes: has no site 'KPNO' ($OBSERVATORY); it has LAB"
    )


def test_an_asked_node_is_not_there(tmp_path: Path) -> None:
    problem = refused(tmp_path, SMALL, nodes=["gfa9"])
    assert problem == "--nodes: 'gfa9' is not a node of LAB; did you mean 'gfa1'?"


@pytest.mark.parametrize("name", ["missing.yaml", "folder"])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=f"^{tmp_path}/{name}: (No such|Is a)"):
        config.load(tmp_path / name)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"image: \xff\n")
    with pytest.raises(ConfigError, match=r"is not YAML: .*can.t decode byte"):
        config.load(file)


def test_a_mistake_at_another_site_is_found_too(tmp_path: Path) -> None:
    text = SMALL + "  APO:\n    gfa1: {host: h, prot: 1}\n"
    problem = refused(tmp_path, text)
    assert problem.startswith("f.yaml: nodes/APO/gfa1/prot: is not a known key")


@pytest.mark.parametrize(
    "engine",
    [
        "tcp://h1:2375",
        "tcp://h1",
        "tcp://[::1]:2375",
        "unix:///var/run/docker.sock",
        "ssh://h1",
        "ssh://me@h1:2222",
    ],
)
def test_the_ways_to_an_engine(tmp_path: Path, engine: str) -> None:
    text = SMALL.replace("h1}", f"h1, docker-client: '{engine}'}}")
    node = load(tmp_path, text).nodes["gfa1"]
    assert (node.engine, node.tls) == (engine, None)


SECURE = """\
image: flicamera
docker-tls: {{ca: {folder}/ca.pem, cert: {folder}/cert.pem, key: {folder}/key.pem}}
nodes:
  LAB:
    gfa1: {{host: h1, docker-client: https://h1:2376}}
    gfa2: {{host: h2}}
"""


def certified(folder: Path) -> Fleet:
    """Load a fleet as its controller does."""
    file = folder / "f.yaml"
    file.write_text(SECURE.format(folder=folder), "utf-8")
    return config.load(file, environment={}, certificates=True)


def test_the_files_of_tls_go_to_who_needs_them(tmp_path: Path) -> None:
    files = client(tmp_path, Authority())
    fleet = certified(tmp_path)
    assert [node.tls for node in fleet.nodes.values()] == [files, None]


def test_only_the_controller_reads_the_files_of_tls(tmp_path: Path) -> None:
    fleet = load(tmp_path, SECURE.format(folder=tmp_path))
    assert fleet.nodes["gfa1"].tls is not None


def test_files_of_tls_that_nobody_needs_are_not_read(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(f"{SMALL}docker-tls: {{ca: /c, cert: /d, key: /e}}\n", "utf-8")
    assert config.load(file, environment={}, certificates=True).nodes["gfa1"].tls is (
        None
    )


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_a_file_of_tls_that_is_not_there(tmp_path: Path, name: str) -> None:
    client(tmp_path, Authority())
    missing = tmp_path / f"{name}.pem"
    missing.unlink()
    with pytest.raises(ConfigError) as error:
        certified(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/f.yaml: docker-tls/{name}: {missing}: No such file or directory"
    )


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("ca", "{folder}/ca.pem holds no certificate in PEM"),
        ("cert", "{folder}/key.pem is not the key, free of a password, of "),
        ("key", "{folder}/key.pem is not the key, free of a password, of "),
    ],
)
def test_a_file_of_tls_that_is_something_else(
    tmp_path: Path, name: str, problem: str
) -> None:
    client(tmp_path, Authority())
    (tmp_path / f"{name}.pem").write_text("nothing\n", "utf-8")
    with pytest.raises(ConfigError, match=problem.format(folder=tmp_path)):
        certified(tmp_path)


@pytest.mark.parametrize("password", [b"secret", None])
def test_a_key_that_does_not_open(tmp_path: Path, password: bytes | None) -> None:
    authority = Authority()
    files = client(tmp_path, authority)
    kept = files.cert.read_bytes()
    authority.issue(files.cert, files.key, password=password)
    if password is None:
        files.cert.write_bytes(kept)
    with pytest.raises(ConfigError, match=r"docker-tls/key: .* is not the key"):
        certified(tmp_path)


@pytest.mark.parametrize("name", ["sdss/flicamera", "sdss/flicamera:1"])
def test_an_image_may_be_pinned_by_its_digest(tmp_path: Path, name: str) -> None:
    pinned = f"{name}@sha256:{'5' * 64}"
    fleet = load(tmp_path, SMALL.replace("flicamera", pinned) + "registry: hub:5000\n")
    assert fleet.image_reference == f"hub:5000/{pinned}"
