"""A node's operating system, over ssh: the only module that imports ``paramiko``.

Host keys are checked: an unknown or another host is refused, never learnt. Port, user,
keys, known hosts and jumps are what the system's ssh has for the host.
"""

from __future__ import annotations

import asyncio
import shlex
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fliswarm.errors import HostError
from fliswarm.model import Node
from fliswarm.net import ssh

if TYPE_CHECKING:
    import paramiko

CONNECT_LIMIT = 5.0
"""Seconds for ssh to connect, and for each step of its greeting."""

COMMAND_LIMIT = 15.0
"""Seconds for a short command to end."""

SSH_PORT = 22
"""Where ssh listens; a host key is known by its host's name alone there."""

MARK = "cat /proc/sys/kernel/random/boot_id; cut -d' ' -f22 /proc/1/stat"
"""Tells one start of a host from another: the kernel's, or that of its first process
where the kernel is shared with other hosts."""


class SshHosts:
    """Reaches nodes by ssh, in a bounded set of threads.

    Parameters
    ----------
    threads
        How many nodes may be asked at once.
    """

    def __init__(self, threads: int = 16) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ssh")

    def __call__(self, node: Node) -> SshHost:
        """Return the host of a node; contacts nobody yet."""
        return SshHost(node, self._pool)

    def close(self) -> None:
        """Let calls under way run to their time limits, and start no other."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class SshHost:
    """A node reached by ssh, as its user, with the known host keys of this account."""

    def __init__(self, node: Node, pool: ThreadPoolExecutor) -> None:
        self._node = node
        self._pool = pool

    async def mark(self) -> str:
        """See `Host.mark`."""
        return await self._run(MARK, ends=True)

    async def reboot(self) -> None:
        """See `Host.reboot`."""
        await self._run("sudo -n /sbin/reboot", ends=False)

    async def _run(self, command: str, *, ends: bool) -> str:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._execute, command, ends)

    def _execute(self, command: str, ends: bool) -> str:
        with self._connected() as client:
            transport = client.get_transport()
            assert transport is not None
            channel = transport.open_session(timeout=CONNECT_LIMIT)
            channel.settimeout(COMMAND_LIMIT)
            channel.exec_command(command)
            output = channel.makefile("rb").read()
            errors = channel.makefile_stderr("rb").read()
            status = channel.recv_exit_status()
        # A host that goes down closes the channel before it tells a status: -1.
        if status == 0 or (status == -1 and not ends):
            return bytes(output).decode("utf-8", "replace")
        words = bytes(errors).decode("utf-8", "replace").strip()
        raise HostError(self._node.name, f"{command}: {words or f'status {status}'}")

    @property
    def _where(self) -> str:
        return f"ssh {self._node.user}@{self._node.host}"

    @property
    def _target(self) -> list[str]:
        """Where the system's ssh goes for this node, for its engine too."""
        node = self._node
        if node.engine.startswith("ssh://"):
            return ssh.target(urlsplit(node.engine), node.user)
        port = [] if node.ssh_port == SSH_PORT else ["-p", str(node.ssh_port)]
        return [*port, f"{node.user}@{node.host}"]

    @contextmanager
    def _connected(self) -> Iterator[paramiko.SSHClient]:
        # A controller that reboots nothing need not hold a cryptography library.
        import paramiko

        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            values = ssh.settings(self._target, CONNECT_LIMIT)
            for file in _known_hosts(values):
                client.load_system_host_keys(str(file))
            with self._connect(client, values):
                yield client
        except paramiko.BadHostKeyException as error:
            raise HostError(
                self._node.name, f"{self._where}: {ssh.OTHER_HOST_KEY}"
            ) from error
        except (paramiko.SSHException, OSError) as error:
            raise HostError(self._node.name, f"{self._where}: {error}") from error
        finally:
            client.close()

    @contextmanager
    def _connect(
        self, client: paramiko.SSHClient, values: dict[str, list[str]]
    ) -> Iterator[None]:
        """Connect as the system's ssh would."""
        host = values.get("hostname", [self._node.host])[0]
        port = int(values.get("port", [str(self._node.ssh_port)])[0])
        alias = values.get("hostkeyalias", [None])[0]
        keys = [str(file) for file in _there(values.get("identityfile", []))]
        with _way(ssh.proxy(values, host, port), host, port) as way:
            client.connect(
                alias or host,
                SSH_PORT if alias else port,
                username=values.get("user", [self._node.user])[0],
                key_filename=keys or None,  # type: ignore[arg-type]  # may be several
                allow_agent=values.get("identitiesonly") != ["yes"],
                sock=way,
                timeout=CONNECT_LIMIT,
                banner_timeout=CONNECT_LIMIT,
                auth_timeout=CONNECT_LIMIT,
                channel_timeout=CONNECT_LIMIT,
            )
            yield


@contextmanager
def _way(command: str | None, host: str, port: int) -> Iterator[socket.socket]:
    """Hold a connection to a host, through the program that leads there, if any."""
    if command is None:
        with socket.create_connection((host, port), CONNECT_LIMIT) as way:
            yield way
        return
    ours, theirs = socket.socketpair()
    words = ["sh", "-c", f"exec {command}"]
    with (
        ours,
        subprocess.Popen(
            words,
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        theirs.close()
        try:
            yield ours
        finally:
            process.kill()


def _known_hosts(values: dict[str, list[str]]) -> list[Path]:
    """Return the files that hold the known host keys."""
    if not values:
        return _there(["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"])
    lists = values["userknownhostsfile"] + values["globalknownhostsfile"]
    return _there([name for names in lists for name in shlex.split(names)])


def _there(names: list[str]) -> list[Path]:
    files = (Path(name).expanduser() for name in names)
    return [file for file in files if file.is_file()]
