"""Starting and stopping the controller on this computer."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click

from fliswarm import config, store
from fliswarm.cli import log, unit
from fliswarm.cli.app import Options, split
from fliswarm.errors import ConfigError, FliswarmError, NotRunningError, UsageError
from fliswarm.faces.control.address import default_socket
from fliswarm.faces.control.client import LocalControl, connect
from fliswarm.faces.control.join import dial_stdio as join_stdio
from fliswarm.model import Fleet
from fliswarm.net.names import Loop

START_LIMIT = 20.0
"""Seconds for a controller to open its control socket."""

STOP_LIMIT = 10.0
"""Seconds for a controller to end its commands and go."""


@click.command()
@click.option("--debug", is_flag=True, help="Stay in the foreground.")
@click.option("--log", "--log-file", "log_file", help="File for the program's output.")
@click.option("--nodes", help="Comma-separated nodes to enable.")
@click.option("--pid_file", "--pid-file", "pid_file", hidden=True)
@click.option("--detached", is_flag=True, hidden=True)
@click.pass_obj
def start(
    options: Options,
    *,
    debug: bool,
    log_file: str | None,
    nodes: str | None,
    pid_file: str | None,
    detached: bool,
) -> None:
    """Start the controller on this computer."""
    options.here("start")
    if pid_file is not None:
        said = "no PID file is written; fliswarm actor status tells the number"
        click.echo(f"fliswarm: {said}", err=True)
    names = split(nodes) if nodes is not None else options.nodes
    file = config.find(options.config)
    if not debug and unit.is_for(file):
        _refuse_own(log_file, names)
        unit.order("start")
        click.echo("fliswarm -- started")
        return
    notes: list[str] = []
    fleet = config.load(file, nodes=names, certificates=True, warn=notes.append)
    socket = fleet.control_socket or default_socket()
    log_dir = fleet.actor.log_dir
    written = _log_path(log_file or (f"{log_dir}/fliswarm.log" if log_dir else None))
    if debug:
        log.set_up(written, terminal=not detached)
        _serve(file, names, socket, fleet.ping_timeout)
        return
    for note in notes:
        click.echo(f"fliswarm: {note}", err=True)
    _detach(file, names, socket, written or socket.with_suffix(".log"))


def _refuse_own(*options: object) -> None:
    if any(options):
        raise UsageError(
            "systemd starts fliswarm here, without --nodes and --log. Remedy: leave"
            " them out; or start --debug, which stays in the foreground"
        )


def _serve(file: Path, names: list[str] | None, socket: Path, glance: float) -> None:
    # These imports are the controller's; no other command waits for them.
    with _without("paramiko"):
        from fliswarm.engine.docker import DockerEngines
    from fliswarm.host.ssh import SshHosts
    from fliswarm.service import Service

    # systemd ends a frozen controller by a signal: it says where it was.
    faulthandler.enable()
    engines, hosts = DockerEngines(glance), SshHosts()

    warn = logging.getLogger(__name__).warning

    def load() -> Fleet:
        return config.load(file, nodes=names, certificates=True, warn=warn)

    async def run() -> None:
        state = store.folder() / load().observatory
        read = partial(config.read_text, nodes=names)
        service = Service(load, engines, hosts, state, read=read)
        # What a fleet is made of stays, and is not looked through again for rubbish.
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        await service.run(socket)

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(run())
    hosts.close()
    # Threads may still wait for engines that do not answer; nothing waits for them.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Keep a library from being imported, where it is optional.

    The docker SDK imports paramiko for engines behind ssh, which we reach through the
    system's ssh. A third of the controller's memory would be paramiko's and what it
    brings along.
    """
    known = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if known is not None:
            sys.modules[name] = known


def _detach(file: Path, names: list[str] | None, socket: Path, log_file: Path) -> None:
    """Start a controller in a session of its own; return when it serves."""
    if _running(socket) is not None:
        raise FliswarmError(f"fliswarm is running already, on {socket}")
    words = [sys.executable, "-m", "fliswarm", "-c", str(file.resolve())]
    words += ["start", "--debug", "--detached", "--log", str(log_file)]
    if names is not None:
        words += ["--nodes", ",".join(names)]
    with _open_log(log_file) as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_LIMIT
    while _running(socket) is None:
        if process.poll() is not None:
            said = log_file.read_text("utf-8", "replace")
            last = said.strip().rpartition("\n")[2]
            why = last.removeprefix("fliswarm: ")
            raise FliswarmError(f"{why or 'it ended at once'} (log: {log_file})")
        if time.monotonic() > deadline:
            problem = f"fliswarm did not serve in {START_LIMIT:g} s"
            raise FliswarmError(f"{problem} (log: {log_file})")
        time.sleep(0.1)
    click.echo("fliswarm -- started")


def _log_path(written: str | None) -> Path | None:
    if written is None:
        return None
    return Path(os.path.expandvars(written)).expanduser().resolve()


def _open_log(path: Path) -> BinaryIO:
    """Open a new log file, with the previous one moved aside under its time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            now = datetime.now(UTC).strftime("%Y-%m-%d_%H:%M:%S")
            path.rename(path.with_name(f"{path.name}.{now}"))
        return path.open("ab")
    except OSError as error:
        raise ConfigError(f"log file {path}", error.strerror or str(error)) from error


def _running(socket: Path) -> int | None:
    try:
        with LocalControl(socket) as control:
            return control.pid
    except NotRunningError:
        return None


@click.command()
@click.pass_obj
def stop(options: Options) -> None:
    """Stop the controller on this computer."""
    options.here("stop")
    try:
        with LocalControl(options.socket()) as control:
            pid = control.pid
            if unit.runs(pid):
                unit.order("stop")
            else:
                _end(control, pid)
    except NotRunningError:
        click.echo("fliswarm is not running", err=True)
        return
    click.echo("fliswarm -- stopped")


def _end(control: LocalControl, pid: int) -> None:
    if pid == 0:
        # By this number, a signal would go to whoever asks.
        raise FliswarmError(
            "fliswarm runs where its process has no number here, perhaps in a"
            " container. Remedy: stop it there"
        )
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise FliswarmError(f"fliswarm ({pid}) belongs to another user") from error
    if not control.wait_end(STOP_LIMIT):
        raise FliswarmError(f"fliswarm ({pid}) did not end in {STOP_LIMIT:g} s")


@click.command()
@click.option("--log", "--log-file", "log_file", help="File for the program's output.")
@click.option("--nodes", help="Comma-separated nodes to enable.")
@click.pass_context
def restart(context: click.Context, log_file: str | None, nodes: str | None) -> None:
    """Stop the controller, then start it."""
    options: Options = context.obj
    options.here("restart")
    pid = _running(options.socket())
    if pid is not None and unit.runs(pid):
        _refuse_own(log_file, nodes or options.nodes)
        unit.order("restart")
        click.echo("fliswarm -- restarted")
        return
    context.invoke(stop)
    context.invoke(start, log_file=log_file, nodes=nodes)


@click.command(name="dial-stdio")
@click.pass_obj
def dial_stdio(options: Options) -> None:
    """Join standard input and output with the control socket, for ssh."""
    join_stdio(options.socket())


@click.group()
def actor() -> None:
    """Start and stop the controller, as sdss-fliswarm spells it."""


@actor.command()
@click.pass_obj
def status(options: Options) -> None:
    """Tell whether the controller runs; exits with 1 when it does not."""
    with connect(options.host, options.socket) as control:
        # A socket that takes a connection is no controller that answers yet.
        for _ in control.command(["ping"]):
            pass
        where = f"on {options.host}"
        if isinstance(control, LocalControl):
            where = f"pid: {control.pid}, status: running"
        click.echo(f"fliswarm -- {where}")


for _command in (start, stop, restart):
    actor.add_command(_command)
