"""The modules of the registry: who writes, who has the port, what is proved."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sdss.fliswarm.plugins.module_utils import (
    registry_api,
    registry_copy,
)
from ansible_collections.sdss.fliswarm.plugins.modules import (
    free_ports,
    registry_pull,
    registry_writer,
)

from tests.unit.support.modules import run
from tests.unit.support.registry import Registry, Store, serving

ME = {"owner": "root"}


def access(folder: Path, address: str, name: str = "hub:5000") -> dict[str, Any]:
    """Make a password, and return what the host then knows."""
    options = {
        "name": name,
        "address": address,
        "storage": str(folder),
        "folder": str(folder / "writer"),
        **ME,
    }
    run("registry_writer", options)
    return dict(json.loads((folder / "writer" / "registry.json").read_text()))


# Who may write


def test_the_password_is_made_once_and_root_alone_reads_it(tmp_path: Path) -> None:
    options = {
        "name": "hub:5000",
        "address": "127.0.0.1:5001",
        "storage": "/images",
        "folder": str(tmp_path / "writer"),
        **ME,
    }
    said = run("registry_writer", options, check=True)
    assert said["changed"]
    assert not (tmp_path / "writer").exists()
    did = run("registry_writer", options)
    assert did["changed_files"] == said["changed_files"]
    files = {file.name: file for file in (tmp_path / "writer").iterdir()}
    assert not any(file.stat().st_mode & 0o077 for file in files.values())
    secret = json.loads(files["registry.json"].read_text())["password"]
    assert secret not in json.dumps([said, did])
    line = files["htpasswd"].read_text().strip().partition(":")[2]
    assert registry_writer.bcrypt(secret, line) == line
    assert registry_writer.bcrypt("another", line) != line
    assert not run("registry_writer", options)["changed"]


def test_a_file_that_does_not_fit_the_password_is_written_anew(tmp_path: Path) -> None:
    secret = access(tmp_path, "127.0.0.1:5001")["password"]
    (tmp_path / "writer" / "htpasswd").write_text("fliswarm:$2b$04$broken\n")
    assert access(tmp_path, "127.0.0.1:5001")["password"] == secret
    line = (tmp_path / "writer" / "htpasswd").read_text().strip().partition(":")[2]
    assert registry_writer.bcrypt(secret, line) == line


def test_it_is_forgotten(tmp_path: Path) -> None:
    access(tmp_path, "127.0.0.1:5001")
    gone = {"state": "absent", "folder": str(tmp_path / "writer")}
    assert run("registry_writer", gone, check=True)["changed"]
    assert (tmp_path / "writer").exists()
    assert run("registry_writer", gone)["changed"]
    assert not (tmp_path / "writer").exists()
    assert not run("registry_writer", gone)["changed"]


# Who has a port


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def ask(port: int, command: str, **more: str) -> dict[str, Any]:
    place = {"port": port, "command": command, **more}
    options = {"ports": [place], "remedy": "stop it", "socket": "/nowhere"}
    return run("free_ports", options)


def test_who_has_a_port_is_named(taken: int) -> None:
    said = ask(taken, "docker-registry serve /etc/ours.yml")
    assert said["failed"]
    assert f"Port {taken} is that of the process {os.getpid()}" in said["msg"]
    assert "Nothing was changed. Remedy: stop it" in said["msg"]


def test_ours_and_other_addresses_do_not_stand_in_the_way(taken: int) -> None:
    own = Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode()
    assert ask(taken, own)["owners"][str(taken)]
    assert not ask(taken, "docker-registry", address="127.0.0.2").get("failed")
    assert ask(taken, "docker-registry", address="[::]")["failed"]


def test_a_free_port_is_nobodys() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert ask(port, "docker-registry")["owners"] == {str(port): ""}


def test_a_container_that_only_the_firewall_knows_is_named() -> None:
    ports = [{"PublicPort": 5000}, {"PrivatePort": 80}]
    one = {"Names": ["/depot"], "Image": "registry:2", "Ports": ports}
    named = free_ports.publisher(5000, [one])
    assert named == "the container depot (image registry:2)"
    assert free_ports.publisher(80, [one]) == ""


# What is proved


class Bench:
    """A host with a registry: one address to read, one to write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store()
        self.public = Registry(self.store, readonly=True)
        self.private = Registry(self.store)
        known = access(folder, self.private.name, self.public.name)
        self.private.login = f"{known['user']}:{known['password']}"

    def prove(self, *, check: bool = False, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        folder = str(self.folder / "writer")
        options = {"name": self.public.name, "folder": folder, "room": 1, **more}
        return run("registry_proof", options, check=check)

    def image(self, *, check: bool = False, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        folder = str(self.folder / "writer")
        options = {"registry": self.public.name, "name": "camera", "folder": folder}
        return run("registry_image", {**options, **more}, check=check)

    def push(self, manifest: dict[str, Any], tag: str = "") -> str:
        body = json.dumps(manifest).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        self.store.manifests[digest] = (body, manifest["mediaType"])
        if tag:
            self.store.tags[tag] = digest
        self.lay(self.OWN, f"_manifests/revisions/sha256/{digest[7:]}/link")
        self.lay(self.data(digest), text=body)
        if tag:
            current = f"_manifests/tags/{tag}/current/link"
            self.lay(self.OWN, current, text=digest.encode())
        return digest

    OWN = "docker/registry/v2/repositories/camera"

    def lay(self, *path: str, text: bytes = b"") -> Path:
        """Write a file of the registry's storage."""
        file = self.folder.joinpath(*path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
        return file

    def data(self, digest: str) -> str:
        """Return where a content is."""
        return f"docker/registry/v2/blobs/sha256/{digest[7:9]}/{digest[7:]}/data"

    def made(self, count: int, tag: str = "") -> str:
        """Push an image with our label, the so manieth."""
        image = {"config": {"Labels": {"org.sdss.fliswarm.recipe": "r"}}, "n": count}
        config = json.dumps(image).encode()
        name = f"sha256:{hashlib.sha256(config).hexdigest()}"
        self.store.blobs[name] = config
        self.lay(self.data(name), text=config)
        self.lay(self.OWN, f"_layers/sha256/{name[7:]}/link", text=name.encode())
        part = {"digest": name, "size": len(config)}
        pushed = self.push({**ONE, "config": part}, tag)
        link = self.folder / self.OWN / f"_manifests/revisions/sha256/{pushed[7:]}/link"
        os.utime(link, (count, count))
        return pushed

    def index(self, *children: str, tag: str = "") -> str:
        machines = ["amd64", "arm64"]
        parts = [
            {"digest": child, "platform": {"architecture": machine}}
            for child, machine in zip(children, machines, strict=False)
        ]
        kind = "application/vnd.oci.image.index.v1+json"
        return self.push({"mediaType": kind, "manifests": parts}, tag)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    with serving(bench.public, bench.private):
        yield bench


def test_it_is_proved_each_time_and_changes_nothing_twice(bench: Bench) -> None:
    said = bench.prove(check=True)
    assert said["changed"]
    assert not bench.store.manifests
    did = bench.prove()
    assert did["changed"]
    assert bench.store.tags == {"latest": did["digest"]}
    assert not bench.prove(check=True)["changed"]
    assert not bench.prove()["changed"]
    assert bench.private.begun == 0
    bench.store.blobs.clear()
    assert bench.prove()["changed"]
    assert not bench.prove()["changed"]


def test_another_registry_under_the_name_is_noticed(bench: Bench) -> None:
    bench.prove()
    bench.public.store = Store()
    said = bench.prove()
    assert said["failed"]
    assert "something else answers there. Remedy: " in said["msg"]


def test_a_copy_of_the_image_passes_for_the_registry_no_more(bench: Bench) -> None:
    """What others may write to is not the one that was configured."""
    bench.prove()
    bench.public.readonly = False
    said = bench.prove()
    assert said["failed"]
    assert "takes images from whoever reaches it" in said["msg"]
    assert bench.public.begun == 0


def test_who_writes_without_the_password_is_noticed(bench: Bench) -> None:
    bench.prove()
    bench.private.login = ""
    assert "takes images from whoever reaches it" in bench.prove()["msg"]


def test_a_full_disk_is_told(bench: Bench) -> None:
    bench.prove()
    bench.store.full = True
    assert "takes no image" in bench.prove()["msg"]
    assert "no space left on device" in bench.prove()["msg"]
    bench.store.full = False
    said = bench.prove(room=1 << 40)
    assert "Remedy: make room there" in said["msg"]


# An image and the one before it

ONE = {"mediaType": "application/vnd.oci.image.manifest.v1+json"}


def test_an_index_is_an_image(bench: Bench) -> None:
    labels = {"config": {"Labels": {"org.sdss.fliswarm.recipe": "r"}}}
    config = json.dumps(labels).encode()
    name = f"sha256:{hashlib.sha256(config).hexdigest()}"
    bench.store.blobs[name] = config
    child = bench.push({**ONE, "config": {"digest": name}})
    other = bench.push({**ONE, "n": 1})
    pair = (child, other) if os.uname().machine == "x86_64" else (other, child)
    index = bench.index(*pair, tag="latest")
    said = bench.image(reference="latest")
    assert (said["digest"], said["recipe"], said["reason"]) == (index, "r", "")
    assert bench.image(reference=index)["digest"] == index
    assert bench.image(reference=f"sha256:{'0' * 64}")["digest"] == ""
    assert said["push"] == bench.private.name


def test_what_a_tag_or_an_index_needs_stays(bench: Bench) -> None:
    tagged, listed, lost = bench.made(3, "latest"), bench.made(1), bench.made(2)
    index, foreign = bench.index(listed), bench.push({**ONE, "n": 4})
    unneeded: dict[str, Any] = {"reference": "latest", "state": "unneeded"}
    bench.store.tags["index"] = index
    said = bench.image(**unneeded, check=True)
    assert (said["changed"], said["removed"]) == (True, [lost])
    assert lost in bench.store.manifests
    assert bench.image(**unneeded)["removed"] == [lost]
    assert not bench.image(**unneeded)["changed"]
    # What others have pushed without a tag is theirs.
    assert bench.store.manifests.keys() == {tagged, listed, index, foreign}


def test_the_images_that_were_replaced_last_stay(bench: Bench) -> None:
    """A release goes back to them by their digests."""
    made = [bench.made(count) for count in range(1, 5)]
    bench.made(5, "latest")
    said = bench.image(reference="latest", state="unneeded", keep=2)
    assert said["removed"] == [made[1], made[0]]
    assert set(made[2:]) < bench.store.manifests.keys()
    assert not bench.image(reference="latest", state="unneeded", keep=2)["changed"]


@pytest.mark.parametrize("what", ["config", "manifest", "link"])
def test_what_a_power_cut_has_left_is_not_there(bench: Bench, what: str) -> None:
    own = bench.made(1, "latest")
    config = json.loads(bench.store.manifests[own][0])["config"]["digest"]
    ask: dict[str, Any] = {"reference": "latest"}
    assert bench.image(**ask)["lacks"] == []
    lost = own if what == "manifest" else config
    if what == "link":
        (bench.folder / bench.OWN / f"_layers/sha256/{config[7:]}/link").unlink()
    else:
        bench.lay(bench.data(lost))
    for reference in ("latest", own):
        assert bench.image(reference=reference)["lacks"] == [lost]
    # What is whole may be another image's as well.
    gone = [] if what == "link" else [lost]
    assert bench.image(**ask, state="cleared", check=True)["removed"] == gone
    assert (bench.folder / bench.data(lost)).exists()
    assert bench.image(**ask, state="cleared")["removed"] == gone
    assert (bench.folder / bench.data(lost)).exists() is (what == "link")


def test_an_image_that_has_no_room_is_refused(bench: Bench) -> None:
    said = bench.image(reference="latest", size=1 << 60)
    assert said["failed"]
    assert "Nothing was pushed. Remedy: make room there" in said["msg"]
    assert not bench.image(reference="latest", size=1).get("failed")


# What an engine gets


@pytest.mark.parametrize(
    ("status", "said", "why"),
    [
        (200, '{"status": "Pulling"}\n{"status": "Done"}\n', ""),
        (200, '{"errorDetail": {"message": "no"}}\n', "no"),
        (200, '{"error": "no", "errorDetail": {"message": "no"}}\n', "no"),
        (500, '{"message": "expired"}', "expired"),
    ],
)
def test_why_a_pull_failed(status: int, said: str, why: str) -> None:
    assert registry_pull.problem(status, said) == why


class Engine:
    """An engine with one image at most."""

    def __init__(self, has: str, gets: str) -> None:
        self.has, self.gets = has, gets

    def digests(self, image: str) -> list[str]:
        return [self.has] if self.has else []

    def offered(self, image: str) -> str:
        return self.gets

    def pull(self, image: str) -> None:
        if not self.gets:
            raise registry_pull.PullError("refused")
        self.has = self.gets


@pytest.mark.parametrize("check", [True, False])
def test_a_pull_is_a_change_when_the_engine_had_it_not(*, check: bool) -> None:
    def prove(has: str, gets: str, wanted: str = "") -> str:
        engine = Engine(has, gets)
        return str(registry_pull.prove(engine, "r/proof:latest", wanted, check))

    assert prove("", "b") == "the engine had it not"
    assert prove("a", "b", "b") == "the registry has another one"
    assert prove("b", "b", "b") == ""
    with pytest.raises(registry_pull.PullError, match="something else answers"):
        prove("b", "b", "c")


def test_an_engine_that_gets_no_more_is_noticed() -> None:
    with pytest.raises(registry_pull.PullError):
        registry_pull.prove(Engine("b", ""), "r/proof:latest", "b", check=False)


# From one registry to another


@pytest.fixture
def elsewhere() -> Iterator[Registry]:
    depot = Registry(Store(), readonly=True)
    with serving(depot):
        yield depot


def described(data: bytes) -> dict[str, Any]:
    return {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


def publish(store: Store, words: str) -> str:
    """Put an index of two platforms into a registry; return its digest."""
    children = []
    for machine in ("amd64", "arm64"):
        parts = [f"{words} {machine} {part}".encode() for part in ("config", "layer")]
        for part in parts:
            store.blobs[described(part)["digest"]] = part
        config, layer = map(described, parts)
        manifest = json.dumps({**ONE, "config": config, "layers": [layer]}).encode()
        store.manifests[described(manifest)["digest"]] = (manifest, ONE["mediaType"])
        children.append({**described(manifest), "platform": {"architecture": machine}})
    kind = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"mediaType": kind, "manifests": children}).encode()
    digest = str(described(index)["digest"])
    store.manifests[digest] = (index, kind)
    return digest


def take(depot: Registry, target: Registry, digest: str) -> str:
    source = registry_copy.Source(registry_api.Access(depot.name), "camera", plain=True)
    access = registry_api.Access(target.name, login=target.login)
    into = registry_api.Registry(access, "copied")
    try:
        return str(registry_copy.copy(source, into, digest, ""))
    finally:
        into.close()


def test_a_copy_has_the_digests_of_all_platforms(
    bench: Bench, elsewhere: Registry
) -> None:
    digest = publish(elsewhere.store, "a")
    assert take(elsewhere, bench.private, digest) == digest
    assert bench.store.manifests == elsewhere.store.manifests
    assert bench.store.blobs == elsewhere.store.blobs
    assert bench.private.begun == 0


def test_another_image_under_the_digest_is_refused(
    bench: Bench, elsewhere: Registry
) -> None:
    one, other = publish(elsewhere.store, "a"), publish(elsewhere.store, "b")
    elsewhere.store.manifests[one] = elsewhere.store.manifests[other]
    with pytest.raises(registry_api.RegistryError, match="the registry gives sha256:"):
        take(elsewhere, bench.private, one)
    assert not bench.store.manifests


@pytest.mark.parametrize(
    ("full", "parts"),
    [
        ("flicamera", (registry_copy.HUB, "library/flicamera", "latest")),
        ("sdss/flicamera:1", (registry_copy.HUB, "sdss/flicamera", "1")),
        ("hub:5000/flicamera", ("hub:5000", "flicamera", "latest")),
        ("ghcr.io/a/b:1@sha256:5", ("ghcr.io", "a/b", "sha256:5")),
        ("localhost/b", ("localhost", "b", "latest")),
    ],
)
def test_the_parts_of_a_full_name(full: str, parts: tuple[str, str, str]) -> None:
    assert tuple(registry_copy.named(full)) == parts
