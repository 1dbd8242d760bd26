#!/usr/bin/python
"""Ansible module: daemon.json, its drop-ins, and a daemon that takes them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_daemon
short_description: Configure Docker Engine without losing it
version_added: 1.0.0
description:
  - Merges keys into C(/etc/docker/daemon.json), resets C(ExecStart) in a drop-in so
    that the addresses come from that file alone, and restarts or reloads the daemon,
    whichever is needed.
  - New configuration is judged by dockerd itself before it is written. When the daemon
    does not answer with it in time, the old files come back, the old daemon runs again,
    and the module fails with the daemon's own words.
  - Containers keep running, as C(live-restore) is switched on before the daemon stops.
  - An interrupted run is finished by the next one.
  - What a drop-in of the same name says beside C(ExecStart) stays in it. Flags of the
    daemon's command give way to the keys that say the same; those that come from its
    environment are refused.
  - Logs of containers are bounded where neither the file nor a flag says anything.
options:
  hosts:
    description: Addresses on which the daemon listens, its own socket among them.
    type: list
    elements: str
    default: [unix:///var/run/docker.sock]
  options:
    description:
      - Keys of C(daemon.json), which win over those there and those of this module.
      - Mappings are merged; null takes a key away.
    type: dict
    default: {}
  tls:
    description: What the daemon shows to its clients, and asks of them.
    type: dict
    suboptions: &certificate
      authority:
        description: Certificate of the authority whose certificates are accepted.
        type: str
        required: true
      certificate:
        description: The certificate that is shown.
        type: str
        required: true
      key:
        description: Its private key.
        type: str
        required: true
  registries:
    description: Registries of the site, by all the names that image names may have.
    type: list
    elements: str
    default: []
  registry_tls:
    description: How they are trusted; without it they are spoken to without TLS.
    type: dict
    suboptions: *certificate
  timeout:
    description: Seconds in which the daemon has to answer.
    type: int
    default: 60
  state:
    description:
      - C(absent) puts everything back as it was found.
      - C(read) changes nothing; it refuses what C(present) would refuse at once.
    type: str
    choices: [present, absent, read]
    default: present
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the files, and of secrets only that they differ.
    support: full
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Docker Engine for the local network, and a registry without certificates
  sdss.fliswarm.docker_daemon:
    hosts: [tcp://10.25.1.11:2375, unix:///var/run/docker.sock]
    registries: [10.25.1.1:5000, "sdss-hub:5000"]
    options:
      log-opts: {max-size: 50m}
"""

RETURN = r"""
cut_off:
  description: Containers that have the socket of a daemon which is started anew.
  returned: present
  type: list
  elements: str
action:
  description: What the daemon went through.
  returned: always
  type: str
  sample: restarted
installed:
  description: Whether the host has a Docker Engine.
  returned: always
  type: bool
packages:
  description: Packages of the distribution that would make it whole.
  returned: read
  type: list
  elements: str
records:
  description: Names of the records that this collection keeps on the host.
  returned: always
  type: list
  elements: str
"""

import functools
import time
from typing import Any

from ansible_collections.sdss.fliswarm.plugins.module_utils import (
    daemon_json,
    docker_service,
    engine_api,
    host,
    kept,
    unit_text,
)
from ansible_collections.sdss.fliswarm.plugins.module_utils.daemon_change import (
    CONFIG,
    Change,
    Found,
    Heard,
    RefusedError,
    like,
    put,
    text_of,
)
from ansible_collections.sdss.fliswarm.plugins.module_utils.kept import File
from ansible_collections.sdss.fliswarm.plugins.module_utils.quiet import (
    QuietModule,
    masked,
)

SERVICE = "docker.service"

CERTIFICATES = (".pem", ".crt", ".cert", ".key")
"""Endings of files that are made anew each time, or secret: no difference is shown."""


class Aim:
    """What the daemon is to be given: the keys of its file, its command, its drop-ins.

    Parameters
    ----------
    params
        The parameters.
    found
        What is there.
    known
        The record of earlier runs.

    Raises
    ------
    RefusedError
        When the daemon would be told the same twice.
    """

    def __init__(
        self, params: dict[str, Any], found: Found, known: dict[str, Any]
    ) -> None:
        before = before_us(found, docker_service.SERVICE_DROP_IN)
        texts = docker_service.texts_with(before)
        options, registries = params["options"], params["registries"]
        settings = daemon_json.settings(params["hosts"], options, params["tls"])
        keys = {*settings, "insecure-registries", "log-opts"}
        command, taken = unit_text.take(docker_service.command_of(texts), keys)
        given = docker_service.environment(texts)
        self.words = unit_text.words(command, given)
        hidden = unit_text.given(self.words, {*keys, "log-driver"})

        self.theirs = daemon_json.foreign(found.daemon, _ours(known))
        base = daemon_json.with_flags(self.theirs, unit_text.bridged(taken))
        if "log-opts" not in hidden:
            driver = hidden.get("log-driver", [""])[-1]
            settings.update(daemon_json.log_bound(base, options, driver))
        tls = bool(params["registry_tls"])
        if tls:
            _know_networks(base, registries)
        self.daemon = daemon_json.merge(
            base,
            settings,
            {"insecure-registries": [] if tls else registries},
            {"insecure-registries": registries if tls else []},
        )
        _know_flags(hidden, self.daemon, texts)
        patient = daemon_json.needs_an_address(params["hosts"])
        service = docker_service.service_unit(command, before, patient=patient)
        socket = docker_service.socket_unit(
            before_us(found, docker_service.SOCKET_DROP_IN)
        )
        self.units = {
            docker_service.SERVICE_DROP_IN: service,
            docker_service.SOCKET_DROP_IN: socket,
        }
        for path, text in self.units.items():
            now = text_of(kept.read(path)) or ""
            self.units[path] += docker_service.added(now, text)


def file_before_us(found: Found, path: str) -> File | None:
    """Return the file in whose place a drop-in of ours comes."""
    return found.first[path] if path in found.first else kept.read(path)


def before_us(found: Found, path: str) -> str:
    """Return what there was in the place of a drop-in of ours, empty for nothing."""
    before = text_of(file_before_us(found, path))
    return before or str(docker_service.beneath(path))


def wanted_files(params: dict[str, Any], found: Found, aim: Aim) -> kept.Files:
    """Return the files that the parameters ask for, daemon.json aside.

    Those that an earlier run has written and nobody asks for go back to what they were.
    """
    wanted: kept.Files = dict(found.first)
    for path, text in aim.units.items():
        wanted[path] = _closed(like(file_before_us(found, path), text))
    if params["tls"]:
        wanted.update(_certificates(params["tls"], daemon_json.TLS_FILES))
    if params["registry_tls"]:
        for registry in params["registries"]:
            paths = docker_service.registry_files(registry)
            wanted.update(_certificates(params["registry_tls"], paths))
    return wanted


def _certificates(given: dict[str, str], paths: dict[str, str]) -> kept.Files:
    return {
        path: File(given[name], 0o600 if name == "key" else 0o644)
        for name, path in paths.items()
    }


def look(module: QuietModule, record: kept.Record) -> dict[str, Any]:
    """Refuse a host with which this cannot work."""
    strange = host.unknown()
    if strange:
        raise RefusedError(
            f"This host is not one for the roles: {strange}. Remedy: a host with one "
            "of those systems; docs/hosts.md lists them. Nothing was changed."
        )
    if docker_service.is_snap():
        raise RefusedError(
            "Docker is installed as a snap: it is confined, reads neither "
            f"{CONFIG} nor a drop-in of docker.service, and cannot bind /dev/bus/usb. "
            "Remedy: sudo snap remove docker. Nothing was changed."
        )
    overruling = docker_service.overruling()
    if overruling:
        raise RefusedError(
            f"{overruling[0]} sets ExecStart, and counts after "
            f"{docker_service.SERVICE_DROP_IN}: the addresses would not be those of "
            f"{CONFIG}. Remedy: take ExecStart out of it, what it gives dockerd "
            "belongs in docker_engine_options. Nothing was changed."
        )
    known = record.load()
    found = Found(known, [CONFIG])
    Aim(module.params, found, known)
    if found.running and module.params["options"].get("live-restore", True):
        _know_swarm()
    packages = docker_service.lacking()
    gone = host.removed_by(packages)
    if gone:
        raise RefusedError(host.refusal(packages, gone))
    return {"changed": False, "action": "none", "packages": packages}


def configure(module: QuietModule, record: kept.Record) -> dict[str, Any]:
    """Bring the host to what the parameters ask for."""
    look(module, record)
    params, known = module.params, record.load()
    hidden = docker_service.masked(SERVICE)
    if hidden and not module.check_mode:
        # Its drop-ins are not seen before.
        docker_service.unmask(SERVICE)
    if params["tls"]:
        _know_authority(params["tls"]["authority"])
    found = Found(known, [CONFIG])
    aim = Aim(params, found, known)
    daemon = aim.daemon
    wanted = wanted_files(params, found, aim)
    found.look_at(wanted)
    now = found.now[CONFIG]
    same = not found.interrupted and daemon == found.daemon and now is not None
    wanted[CONFIG] = _closed(now if same else like(now, daemon_json.render(daemon)))

    at_start = {*aim.units, *daemon_json.TLS_FILES.values()}
    change = Change(found, wanted, daemon)
    # One that does not run is not asked: systemd's socket would start it for that.
    answers = found.running and not docker_service.unheard(daemon)
    if change.paths and not answers and found.running:
        # New addresses: what matters is whether it answers where it is told to now.
        answers = not docker_service.unheard(found.daemon)
    action = change.action(at_start, answers)
    if action == "none":
        # It may have been started, or told, with other files than those there are now.
        action = docker_service.lag(daemon, at_start)
    cut_off = docker_service.cut_off() if action == "restarted" else []
    _warn(module, cut_off)
    # systemd's socket, which may have started it until now, is not opened any more.
    stays_off = hidden or docker_service.disabled(SERVICE)
    result = {
        "changed": bool(change.paths) or action != "none" or stays_off,
        "action": action,
        "cut_off": cut_off,
        "diff": _diff(change),
    }
    if module.check_mode or not result["changed"]:
        return result
    if not docker_service.installed():
        raise RefusedError(
            "The host has no dockerd. Remedy: install docker.io or docker-ce."
        )
    _judge(wanted[CONFIG], now, aim.words)
    known.setdefault("masked", hidden)
    remember(record, known, change)
    heard = functools.partial(docker_service.wait, daemon, params["timeout"])
    _carry_out(change, action, heard, record, known)
    docker_service.enable(SERVICE, wanted=True)
    known["ours"] = daemon_json.ours_in(daemon, aim.theirs)
    known["journal"] = None
    record.save(known)
    kept.remove_folders(known["folders"])
    return result


def _closed(config: File) -> File:
    """Return a file for root alone where it holds a password."""
    open_to_all = masked(config.content) == config.content
    return config if open_to_all else config._replace(mode=config.mode & 0o600)


def _warn(module: QuietModule, cut_off: list[str]) -> None:
    """Name what a daemon that is started anew takes from containers."""
    if cut_off:
        module.warn(
            f"{engine_api.API} becomes another socket with this start of Docker "
            f"Engine, and these containers, into which it is bound, keep the old one, "
            f"which nobody answers: {', '.join(cut_off)}. "
            f"Remedy: sudo docker restart {' '.join(cut_off)}"
        )
    for registry in docker_service.proxied(module.params["registries"]):
        module.warn(
            f"Docker Engine asks a proxy for the registry {registry}, as its NO_PROXY "
            f"does not have it. Remedy: add {registry.rpartition(':')[0]} to NO_PROXY "
            "where the proxy is set: a drop-in of docker.service or its environment "
            "file, or proxies in daemon.json."
        )


def _know_flags(
    hidden: dict[str, list[str]], daemon: daemon_json.Daemon, texts: list[str]
) -> None:
    """Refuse what the daemon's environment gives it beside its file."""
    for key in sorted(set(hidden) & set(daemon)):
        flag = unit_text.flag(key)
        where = unit_text.environment_files(texts) or ["Environment"]
        raise RefusedError(
            f"The environment of docker.service ({', '.join(where)}) gives dockerd "
            f"{flag}, and {CONFIG} is to have {key}: it does not start with both. "
            f"Remedy: take {flag} out of there, and write what it gives into "
            "docker_engine_options where it is to stay. Nothing was changed."
        )


def _know_authority(authority: str) -> None:
    """Refuse an authority that would lock out those who have the former one's."""
    shown = daemon_json.TLS_FILES["certificate"]
    if not authority or kept.read(shown) is None:
        return
    if not docker_service.signed_by(shown, authority):
        raise RefusedError(
            f"{shown} was signed by another authority than the one on this control "
            "machine, and its clients know the former alone. Remedy: copy the folder "
            "fliswarm_pki from the computer that made it; or, to take the site over, "
            f"remove {shown} on all hosts and run the playbook for all. "
            "Nothing was changed."
        )


def _know_swarm() -> None:
    """Refuse a member of a swarm, whose engine does not start with live-restore."""
    swarm = (docker_service.ask("/info") or {}).get("Swarm", {})
    if swarm.get("LocalNodeState", "inactive") != "inactive":
        raise RefusedError(
            "Docker Engine is a member of a swarm, where containers cannot outlive it. "
            "Remedy: sudo docker swarm leave; or docker_engine_options: "
            "{live-restore: false}, and cameras stop whenever their engine is started "
            "anew. Nothing was changed."
        )


def _know_networks(theirs: daemon_json.Daemon, registries: list[str]) -> None:
    """Refuse what makes the engine show a registry no certificate."""
    for network, registry in daemon_json.insecure_networks(theirs, registries):
        raise RefusedError(
            f"{CONFIG}: insecure-registries has {network}, and the registry {registry} "
            "in it asks for certificates, which Docker Engine would not show. Remedy: "
            "take the network out of the file, or set fliswarm_registry_tls to false. "
            "Nothing was changed."
        )


def _ours(known: dict[str, Any]) -> dict[str, tuple[Any, list[Any]]]:
    return {
        key: (value, before) for key, (value, before) in known.get("ours", {}).items()
    }


def give_back(module: QuietModule, record: kept.Record) -> dict[str, Any]:
    """Bring the host back to what it was before the first run."""
    known = record.load()
    if not known:
        return {"changed": False, "action": "none"}
    found = Found(known, [CONFIG])
    wanted = dict(found.first)
    first = daemon_json.parse(text_of(wanted[CONFIG]))
    daemon = daemon_json.foreign(found.daemon, _ours(known))
    # Where it listened is for the unit as well: what was not in the file may be there.
    daemon.pop("hosts", None)
    daemon.update({key: first[key] for key in ("hosts",) if key in first})
    if daemon != first:
        # Somebody has added keys of their own since.
        wanted[CONFIG] = like(found.now[CONFIG], daemon_json.render(daemon))
    for path in (docker_service.SERVICE_DROP_IN, docker_service.SOCKET_DROP_IN):
        _keep_additions(found, wanted, path)
    change = Change(found, wanted, daemon)
    ran = known["units"][SERVICE]
    result = {
        "changed": True,
        "action": "restarted" if ran else "stopped",
        "diff": _diff(change),
    }
    if module.check_mode:
        return result
    remember(record, known, change)
    if ran:
        _carry_out(change, "restarted", docker_service.not_running, record, known)
    else:
        put(wanted)
        docker_service.stop(listen=known["units"]["docker.socket"])
    docker_service.enable(SERVICE, wanted=known["enabled"])
    if known.get("masked"):
        docker_service.mask(SERVICE)
    kept.remove_folders(known["folders"])
    record.remove()
    return result


def _keep_additions(found: Found, wanted: kept.Files, path: str) -> None:
    """Leave what somebody has added to a drop-in since."""
    now = found.now.get(path)
    before = text_of(wanted.get(path)) or ""
    ours = docker_service.service_unit("", before) + docker_service.SOCKET_UNIT
    more = docker_service.added(text_of(now) or "", ours)
    if more:
        wanted[path] = like(now, before + more)


def remember(record: kept.Record, known: dict[str, Any], change: Change) -> None:
    """Note what is there, before it is touched."""
    first = kept.pack(change.found.before)
    known["found"] = {**first, **known.get("found", {})}
    folders = kept.missing_folders(change.paths)
    known["folders"] = sorted({*known.get("folders", []), *folders})
    found = change.found
    units = {SERVICE: found.running, "docker.socket": found.listening}
    known.setdefault("units", units)
    known.setdefault("enabled", not docker_service.disabled(SERVICE))
    known["journal"] = change.journal()
    record.save(known)


def _judge(wanted: File | None, now: File | None, words: list[str]) -> None:
    if wanted == now or wanted is None:
        return
    said = docker_service.objections(wanted.content, words)
    if said:
        raise RefusedError(
            f"Docker Engine does not take this configuration: {said}. "
            "Nothing was changed."
        )


def _carry_out(
    change: Change,
    action: str,
    heard: Heard,
    record: kept.Record,
    known: dict[str, Any],
) -> None:
    since = time.time()
    problem = change.apply(action, heard)
    if not problem:
        return
    words = docker_service.last_words(since) or problem
    left = change.undo()
    kept.remove_folders(known["folders"])
    known["journal"] = None
    record.save(known)
    ending = (
        f"The old files are back, but the old daemon does not run: {left}"
        if left
        else "The old files are back, and what ran before runs."
    )
    raise RefusedError(
        f"Docker Engine does not run with this configuration: {words}. {ending}"
    )


def _diff(change: Change) -> list[Any]:
    return [
        kept.show(
            path,
            change.found.now[path],
            change.wanted[path],
            secret=path.endswith(CERTIFICATES),
        )
        for path in change.paths
    ]


def main() -> None:
    """Run the module."""
    certificate = {
        "type": "dict",
        "options": {
            "authority": {"type": "str", "required": True},
            "certificate": {"type": "str", "required": True},
            "key": {"type": "str", "required": True, "no_log": True},
        },
    }
    names = {"type": "list", "elements": "str"}
    module = QuietModule(
        argument_spec={
            "hosts": {**names, "default": ["unix:///var/run/docker.sock"]},
            "options": {"type": "dict", "default": {}},
            "tls": certificate,
            "registries": {**names, "default": []},
            "registry_tls": certificate,
            "timeout": {"type": "int", "default": 60},
            "state": {
                "type": "str",
                "choices": ["present", "absent", "read"],
                "default": "present",
            },
        },
        supports_check_mode=True,
    )
    host.know_root_programs()
    record = kept.Record("docker_daemon")
    works = {"present": configure, "absent": give_back, "read": look}
    try:
        with kept.locked():
            result = works[module.params["state"]](module, record)
    except RefusedError as refusal:
        module.fail_json(msg=str(refusal))
    module.exit_json(
        installed=docker_service.installed(), records=kept.records(), **result
    )


if __name__ == "__main__":
    main()
