"""The Docker Engine of this host as a service: what it is, how it is run and asked."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Iterable

from ansible_collections.sdss.fliswarm.plugins.module_utils import (
    daemon_json,
    engine_api,
    sockets,
    unit_text,
    units,
)

CONFIG = "/etc/docker/daemon.json"
SERVICE_DROP_IN = "/etc/systemd/system/docker.service.d/docker.conf"
MASK = "/etc/systemd/system/docker.service"
SOCKET_DROP_IN = "/etc/systemd/system/docker.socket.d/docker.conf"

PACKAGED = "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock"
"""Command of the distribution's unit, where it is not there yet."""

PACKAGED_UNIT = f"""\
[Service]
EnvironmentFile=-/etc/default/docker
ExecStart={PACKAGED} $DOCKER_OPTS
"""

UNIT_FOLDERS = (
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Where a file gives way to one of the same name in /etc."""

SOCKETS = (engine_api.API, "/run/docker.sock")
"""The daemon's socket, by the names that it has in mounts."""

SWARM_PORTS = frozenset((2377, 7946))
"""Where the daemon of a swarm listens by itself."""

ASK_LIMIT = 3
"""Seconds for a daemon that runs to answer a question."""

NOBODY = 65534
"""User and group without any right."""

SYSTEMD_LIMIT = 90
"""Seconds for systemd to carry out what it was asked for."""

SOCKET_UNIT = f"""\
# dockerd opens {engine_api.API} by itself. A second listener on the same path,
# that of systemd, would take clients during a start which nobody ever answers.
[Unit]
ConditionPathExists=!{SERVICE_DROP_IN}
"""


PERSISTENT = {
    ("Unit", "StartLimitIntervalSec"): "0",
    ("Service", "Restart"): "always",
    ("Service", "RestartSec"): "5",
}
"""How the daemon is started while an address that it is to have is not there yet."""


def service_unit(command: str, theirs: str = "", *, patient: bool = False) -> str:
    """Return the drop-in that leaves the addresses to daemon.json.

    Parameters
    ----------
    command
        The daemon's command, without its addresses.
    theirs
        The drop-in in whose place this one comes: all but its command is kept.
    patient
        Whether the daemon is started again and again when it cannot start.
    """
    kept = unit_text.without(theirs, "ExecStart")
    more = [f"[{part}]\n{key}={value}\n" for (part, key), value in PERSISTENT.items()]
    return f"""\
{kept}# The addresses are in {CONFIG}: with -H here as well dockerd refuses to start.
{"".join(more) if patient else ""}[Service]
ExecStart=
ExecStart={command}
"""


def socket_unit(theirs: str = "") -> str:
    """Return the drop-in that keeps systemd from the daemon's socket.

    Parameters
    ----------
    theirs
        The drop-in in whose place this one comes.
    """
    return theirs.replace(SOCKET_UNIT, "") + SOCKET_UNIT


def added(now: str, ours: str) -> str:
    """Return what somebody has added to a drop-in of ours, as a drop-in."""
    return str(unit_text.lacking(now, ours, {("Service", "ExecStart"), *PERSISTENT}))


def beneath(path: str) -> str:
    """Return the drop-in that one in /etc takes the place of, empty for none."""
    inner = path.replace("/etc/systemd/system/", "")
    texts = (_text_of(f"{folder}/{inner}") for folder in UNIT_FOLDERS)
    return next(filter(None, texts), "")


def registry_files(registry: str) -> dict[str, str]:
    """Return where the engine looks for what it needs to trust a registry."""
    folder = f"/etc/docker/certs.d/{registry}"
    return {
        "authority": f"{folder}/ca.crt",
        "certificate": f"{folder}/client.cert",
        "key": f"{folder}/client.key",
    }


def run(*command: str, limit: float = SYSTEMD_LIMIT) -> tuple[int, str]:
    """Run a command; return its exit code and all that it put out."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit,
            check=False,
        )
    except FileNotFoundError:
        return 127, f"there is no {command[0]}"
    except subprocess.TimeoutExpired:
        return 124, f"{' '.join(command)} took more than {limit:g} s"
    return done.returncode, done.stdout.decode(errors="replace")


def show(unit: str, key: str) -> str:
    """Return one property of a systemd unit, empty when there is none."""
    code, said = run("systemctl", "show", "--property", key, "--value", unit)
    return said.strip() if code == 0 else ""


def active(unit: str) -> bool:
    """Tell whether a unit runs."""
    return show(unit, "ActiveState") == "active"


def disabled(unit: str) -> bool:
    """Tell whether a unit could start with the host, and does not."""
    return show(unit, "UnitFileState") == "disabled"


def masked(unit: str) -> bool:
    """Tell whether a unit is one that nobody can start."""
    return show(unit, "LoadState") == "masked"


def mask(unit: str) -> None:
    """Let nobody start a unit."""
    run("systemctl", "mask", "--quiet", unit)


def unmask(unit: str) -> None:
    """Let a unit be one that can be started."""
    run("systemctl", "unmask", "--quiet", unit)
    run("systemctl", "unmask", "--quiet", "--runtime", unit)
    run("systemctl", "daemon-reload")


def enable(unit: str, *, wanted: bool) -> None:
    """Let a unit start with the host, or not."""
    if disabled(unit) == wanted:
        run("systemctl", "enable" if wanted else "disable", "--quiet", unit)


def installed() -> bool:
    """Tell whether the host has a dockerd."""
    return shutil.which("dockerd") is not None


def lacking() -> list[str]:
    """Return the distribution's packages that make the host's Docker whole."""
    wanted = [] if installed() and not _half_installed() else ["docker.io"]
    if shutil.which("docker") is None and _split_client():
        wanted.append("docker-cli")
    return wanted


def _half_installed() -> bool:
    """Tell whether an installation of the distribution's Docker was interrupted."""
    query = ("dpkg-query", "--show", "--showformat", "${db:Status-Status}", "docker.io")
    code, state = run(*query)
    whole = ("installed", "config-files", "not-installed")
    return code == 0 and state not in whole


def _split_client() -> bool:
    """Tell whether the distribution has Docker's client in a package of its own."""
    ours = not installed() or Path("/usr/share/doc/docker.io").exists()
    return ours and run("apt-cache", "show", "docker-cli")[0] == 0


def is_snap(root: str = "/") -> bool:
    """Tell whether the host's Docker is a snap."""
    snaps = Path(root, "var/lib/snapd/snaps")
    return any(snaps.glob("docker_*.snap")) or Path(root, "snap/bin/docker").exists()


def texts_with(own: str) -> list[str]:
    """Return the daemon's unit and its drop-ins, in the order in which they count.

    Parameters
    ----------
    own
        What stands in the place of our drop-in, or is to stand there.
    """
    # What is masked has its text in the package alone.
    unit = _text_of(show("docker.service", "FragmentPath")) or beneath(MASK)
    name = Path(SERVICE_DROP_IN).name
    others = {Path(path).name: _text_of(path) for path in _drop_ins()}
    ordered = sorted({**others, name: own}.items())
    return [unit or packaged(), *(text for _name, text in ordered)]


def packaged() -> str:
    """Return the unit as the distribution's package brings it, where it matters."""
    dockerd = shutil.which("dockerd")
    return PACKAGED_UNIT.replace("/usr/sbin/dockerd", dockerd or "/usr/sbin/dockerd")


def command_of(texts: list[str]) -> str:
    """Return the command of a unit, on one line; the packaged one when it has none."""
    found = unit_text.values(texts, "ExecStart")
    found = found or unit_text.values([packaged()], "ExecStart")
    return " ".join(found[-1].split())


def overruling() -> list[str]:
    """Return the drop-ins that set another command after ours."""
    return [
        path
        for path in _drop_ins()
        if Path(path).name > Path(SERVICE_DROP_IN).name
        and unit_text.sets(_text_of(path), "ExecStart")
    ]


def _drop_ins() -> list[str]:
    """Return the drop-ins of the unit, in the order in which they count."""
    return show("docker.service", "DropInPaths").split()


def environment(texts: list[str]) -> dict[str, str]:
    """Return what the daemon's unit and its drop-ins have in the environment."""
    return dict(unit_text.environment(texts, _text_of))


def _text_of(path: str) -> str:
    file = Path(path or "/nonexistent")
    if not file.is_file():
        return ""
    return file.read_bytes().decode("utf-8", "surrogateescape")


def objections(text: str, words: list[str]) -> str:
    """Return what dockerd has against a daemon.json, empty when it has nothing.

    It judges its configuration before it asks for root: as nobody it can do no more
    than that. Where it knows ``--validate``, that ends it even earlier, but after it
    has read the certificates: these are written together with the file, for root.

    Parameters
    ----------
    text
        The file.
    words
        The daemon's command.
    """
    daemon = daemon_json.parse(text)
    judged = {key: daemon[key] for key in daemon if not key.startswith("tls")}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "daemon.json")
        copy.touch(0o600)
        copy.write_text(daemon_json.render(judged), "utf-8")
        # It may hold passwords: to be read by who judges it alone.
        for path in (folder, copy):
            os.chown(path, NOBODY, NOBODY)
        validates = "--validate" in run(words[0], "--help", limit=30)[1]
        code, said = run(
            *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
            *(*words, "--config-file", str(copy)),
            *(["--validate"] if validates else []),
            limit=30,
        )
        if code == 0 or "root privileges" in said:
            return ""
        return said.replace(str(copy), CONFIG).strip()


def signed_by(certificate: str, authority: str) -> bool:
    """Tell whether an authority, its text, has signed a certificate, a path."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(authority)
        file.flush()
        code, _said = run(
            *("openssl", "verify", "-no_check_time", "-CAfile", file.name, certificate)
        )
    # A host that cannot tell has nothing against it.
    return code in (0, 127)


def ask(path: str) -> Any:  # noqa: ANN401
    """Return the daemon's answer to a question on its own socket, None for none."""
    try:
        answer = engine_api.ask("GET", path, ASK_LIMIT)
        return json.loads(answer.text) if answer.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None


def unheard(daemon: daemon_json.Daemon) -> str:
    """Return the first address at which the daemon does not answer as it should.

    Over TLS, that it shows a certificate which its clients take for its own; it
    asks them for one as well, which this host has not.
    """
    local = any(host.startswith("unix://") for host in daemon.get("hosts", ["unix://"]))
    if local and ask("/info") is None:
        return f"unix://{engine_api.API}"
    for host, port in daemon_json.tcp_addresses(daemon):
        problem = _deaf(host, port, daemon.get("tlscacert"))
        if problem:
            return f"tcp://{host}:{port} ({problem})"
    return ""


def _deaf(host: str, port: int, authority: str | None) -> str:
    plain = http.client.HTTPConnection(host, port, timeout=ASK_LIMIT)
    try:
        if authority is None:
            plain.request("GET", "/_ping")
            status = plain.getresponse().status
            return "" if status == http.client.OK else f"it answers {status}"
        plain.connect()
        context = ssl.create_default_context(cafile=authority)
        context.wrap_socket(plain.sock, server_hostname="localhost").close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        plain.close()
    return ""


def lag(daemon: daemon_json.Daemon, at_start: Iterable[str]) -> str:
    """Return what a running daemon needs to be as its files are.

    Parameters
    ----------
    daemon
        The keys that it should have.
    at_start
        Files that it reads when it starts.

    Returns
    -------
    str
        ``restarted``, ``reloaded`` or ``none``.
    """
    if units.stale("docker.service", at_start) or strayed(daemon):
        return "restarted"
    info = ask("/info")
    late = info is not None and daemon_json.not_in_force(daemon, info)
    return "reloaded" if late else "none"


def strayed(daemon: daemon_json.Daemon) -> bool:
    """Tell whether the daemon that runs is not the one that its files describe.

    They may be as they are to be while it was started with others: with addresses in
    its command, or in a file that was another one then.
    """
    pid = show("docker.service", "MainPID") or "0"
    command = _read(f"/proc/{pid}/cmdline").split("\0")
    if any(word == "--host" or word.startswith(("-H", "--host=")) for word in command):
        return True
    metrics = str(daemon.get("metrics-addr", "")).rpartition(":")[2]
    known = {port for _host, port in daemon_json.tcp_addresses(daemon)}
    more = {int(metrics)} if metrics.isdigit() else set()
    return bool(_listening(pid) - known - more - SWARM_PORTS)


def _listening(pid: str) -> set[int]:
    """Return the TCP ports on which a process listens."""
    process = Path("/proc", pid)
    own = sockets.held(process)
    return {one.port for one in sockets.listeners(process / "net") if one.handle in own}


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""


def cut_off() -> list[str]:
    """Return the containers into which the daemon's socket is bound.

    It is another one after each start of the daemon, and they have the former.
    """
    found = ask("/containers/json") or []
    return sorted(
        container["Names"][0].lstrip("/")
        for container in found
        if any(mount.get("Source") in SOCKETS for mount in container["Mounts"])
    )


def proxied(registries: list[str]) -> list[str]:
    """Return the registries that the daemon would ask a proxy for."""
    return list(daemon_json.proxied(ask("/info") or {}, registries))


def not_running() -> str:
    """Return that the daemon does not run; empty when it does, and has said so."""
    return "" if active("docker.service") else "docker.service does not run"


def wait(daemon: daemon_json.Daemon, limit: float) -> str:
    """Wait until the daemon answers; return that it does not, empty when it does.

    Parameters
    ----------
    daemon
        Its keys, with the addresses.
    limit
        Seconds to wait, if it does not fail before.
    """
    deadline = time.monotonic() + limit
    while True:
        silent = unheard(daemon)
        if not silent:
            return ""
        if time.monotonic() > deadline or show("docker", "ActiveState") == "failed":
            return f"no answer at {silent} within {limit:g} s"
        time.sleep(0.3)


def restart() -> str:
    """Start the daemon anew; return systemd's words when it could not."""
    run("systemctl", "daemon-reload")
    # A client that the socket took before the stop would wait for ever.
    if active("docker.socket") and Path(SERVICE_DROP_IN).exists():
        run("systemctl", "stop", "docker.socket")
    # After three bad starts in a minute systemd refuses the good one as well.
    run("systemctl", "reset-failed", "docker.service", "docker.socket")
    code, said = run("systemctl", "restart", "docker.service")
    return said.strip() if code else ""


def stop(*, listen: bool = False) -> None:
    """Stop the daemon, and whatever would start it.

    With ``listen``, systemd listens in its place, and starts it when somebody comes.
    """
    run("systemctl", "stop", "docker.socket", "docker.service")
    run("systemctl", "daemon-reload")
    if listen:
        run("systemctl", "start", "docker.socket")


def wait_for_live_restore(limit: float = 3.0) -> None:
    """Wait until containers outlive the daemon, at most some seconds."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        info = ask("/info")
        if info is not None and info.get("LiveRestoreEnabled"):
            return
        time.sleep(0.1)


def reload() -> str:
    """Let the daemon read its file again; return systemd's words when it could not."""
    code, said = run("systemctl", "reload", "docker.service")
    return said.strip() if code else ""


def last_words(since: float) -> str:
    """Return why the daemon gave up, in its own words, from this time on (s)."""
    run("journalctl", "--sync")
    _code, said = run(
        *("journalctl", "-u", "docker.service", "-o", "cat", "-n", "500"),
        *("--since", f"@{int(since)}"),
    )
    lines = said.splitlines()
    marks = ("unable to configure", "failed to", "invalid", "Error", "error ")
    fatal = [line for line in lines if line.startswith(marks) or "level=fatal" in line]
    return "\n".join(fatal[-1:] or lines[-5:])
