"""From one configuration of Docker Engine to another, and back when it does not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterable

from ansible_collections.sdss.fliswarm.plugins.module_utils import (
    daemon_json,
    docker_service,
    kept,
)
from ansible_collections.sdss.fliswarm.plugins.module_utils.kept import File

CONFIG = docker_service.CONFIG

Heard = Callable[[], str]
"""Returns where a daemon does not answer as it should, empty when it does."""


class RefusedError(Exception):
    """What stands in the way, before anything was touched."""


class Found:
    """What is on the host, and what an earlier run has left to finish.

    Parameters
    ----------
    known
        The record of earlier runs.
    paths
        Files that are looked at, beside those of the record.
    """

    def __init__(self, known: dict[str, Any], paths: list[str]) -> None:
        self.first = kept.unpack(known.get("found", {}))
        self.interrupted = bool(known.get("journal"))
        self._journal = known.get("journal") or {"before": {}, "written": {}}
        self.now: kept.Files = {}
        self.before: kept.Files = {}
        self.look_at({*paths, *self.first})
        try:
            self.daemon = daemon_json.parse(text_of(self.before[CONFIG]))
        except ValueError as error:
            raise RefusedError(
                f"{CONFIG} is not valid JSON: {error}. It was left alone."
            ) from error
        self.running = docker_service.active("docker.service")
        self.listening = docker_service.active("docker.socket")

    def look_at(self, paths: Iterable[str]) -> None:
        """Read files, and find out what they were before a run that was interrupted."""
        before = kept.unpack(self._journal["before"])
        for path in paths:
            self.now[path] = self.before[path] = kept.read(path)
            # What somebody has mended since is theirs.
            if text_of(self.now[path]) in self._journal["written"].get(path, []):
                self.before[path] = before[path]


def put(files: kept.Files) -> None:
    """Write the files that are not there as they are to be."""
    for path, file in files.items():
        if kept.read(path) != file or _stray_link(path):
            kept.write(path, file, follow=path == CONFIG)


def _stray_link(path: str) -> bool:
    """Tell whether a file of ours is a link: what it leads to is of others."""
    return path != CONFIG and Path(path).is_symlink()


def text_of(file: File | None) -> str | None:
    """Return the text of a file, None where there is none."""
    return None if file is None else file.content


def like(before: File | None, text: str) -> File:
    """Return a text as a file, with the permissions of the one before."""
    return before._replace(content=text) if before else File(text)


class Change:
    """From what is there to what is wanted, and back if the daemon does not take it.

    Parameters
    ----------
    found
        What is there.
    wanted
        All files, as they are to be.
    daemon
        The keys of the wanted daemon.json.
    """

    def __init__(
        self, found: Found, wanted: kept.Files, daemon: daemon_json.Daemon
    ) -> None:
        self.found = found
        self.wanted = wanted
        self.daemon = daemon
        self.paths = sorted(
            path
            for path in wanted
            if wanted[path] != found.now[path]
            or (wanted[path] is not None and _stray_link(path))
        )

    def action(self, only_read_at_start: set[str], answers: bool) -> str:
        """Return what the daemon needs: restarted, reloaded or none."""
        before, after = self.found.daemon, self.daemon
        if (
            self.found.interrupted
            or not answers
            or only_read_at_start.intersection(self.paths)
            or not daemon_json.reloadable(before, after)
        ):
            return "restarted"
        return "reloaded" if daemon_json.differing(before, after) else "none"

    def journal(self) -> dict[str, Any]:
        """Return what the next run needs to know if this one is interrupted."""
        written = {path: [text_of(self.wanted[path])] for path in self.paths}
        for daemon in (self.found.daemon, self.daemon):
            texts = [_bridge(daemon, live_restore=flag) for flag in (True, False)]
            written.setdefault(CONFIG, []).extend(texts)
        return {"before": kept.pack(self.found.before), "written": written}

    def apply(self, action: str, heard: Heard) -> str:
        """Write and let the daemon take it; return what went wrong.

        Parameters
        ----------
        action
            What the daemon needs.
        heard
            Returns where the daemon does not answer as it should, empty when it does.
        """
        if action == "restarted" and self.found.running:
            self._keep_containers(self.found.before[CONFIG])
        return _settle(self.wanted, self.daemon, action, heard)

    def undo(self) -> str:
        """Put the old files back and run the old daemon; return what went wrong.

        It runs when systemd says so: where it was to be heard is not ours to know.
        """
        if self.found.running:
            before = self.found.before, self.found.daemon
            return _settle(*before, "restarted", docker_service.not_running)
        put(self.found.before)
        docker_service.stop(listen=self.found.listening)
        return ""

    def _keep_containers(self, config: File | None) -> None:
        """Make the running daemon leave its containers alone when it stops."""
        # One that listens elsewhere is told as well, and given the time to do it.
        if (docker_service.ask("/info") or {}).get("LiveRestoreEnabled"):
            return
        if self.daemon.get("live-restore", True):
            bridge = like(config, _bridge(self.found.daemon, live_restore=True))
            kept.write(CONFIG, bridge, follow=True)
            docker_service.reload()
            docker_service.wait_for_live_restore()


def _bridge(daemon: daemon_json.Daemon, *, live_restore: bool) -> str:
    """Return a daemon.json that says whether containers outlive their daemon."""
    text: str = daemon_json.render({**daemon, "live-restore": live_restore})
    return text


def _settle(
    files: kept.Files, daemon: daemon_json.Daemon, action: str, heard: Heard
) -> str:
    """Write files and let the daemon take them; return what went wrong.

    A daemon that starts without ``live-restore`` ends the containers that have
    outlived the one before: it gets that key for its start, where it can take it.
    """
    config = files[CONFIG]
    if action == "restarted" and "live-restore" not in daemon:
        put({**files, CONFIG: like(config, _bridge(daemon, live_restore=True))})
        problem = _enforce("restarted", heard)
        if docker_service.active("docker.service"):
            # A key that is absent leaves the running daemon as it is.
            bridge = like(config, _bridge(daemon, live_restore=False))
            kept.write(CONFIG, bridge, follow=True)
            problem = problem or _enforce("reloaded", heard)
            put(files)
            return problem
    put(files)
    return _enforce(action, heard)


def _enforce(action: str, heard: Heard) -> str:
    """Restart or reload, and wait; return what went wrong."""
    if action == "none":
        return ""
    if action == "restarted":
        problem = docker_service.restart()
    else:
        problem = docker_service.reload()
    return str(problem or heard())
