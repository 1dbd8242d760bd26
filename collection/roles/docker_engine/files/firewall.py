"""Let some computers alone in to ports of this host, by rules of iptables.

``PROGRAM set|close|check|clear [FILE]``, FILE by default ``/etc/PROGRAM.json``:

``chain``
    Name of the rules, a chain that is this program's alone.
``ports``
    TCP ports that nobody else reaches.
``allowed``
    Addresses, networks and names of the computers that are let in; this one always is.
``memory``
    File of the addresses that the names had when they last had any.

``set`` makes the rules and fails when a name has no address and never had one.
``close`` does it without asking anybody for addresses: before there is a network.
``check`` changes nothing, and fails when the rules are not as ``set`` would make them.
``clear`` takes them away.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Union

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

Memory = Dict[str, List[str]]
"""Addresses by name."""

FAMILY = "FLISWARM-"
"""How all chains of this program begin: they may come before each other."""

TOOLS = {4: "iptables", 6: "ip6tables"}

PLACES = "/usr/sbin:/sbin:/usr/bin:/bin"
"""Where iptables is. Who became root with su may have another PATH."""


class ProblemError(Exception):
    """Why the rules are not as they should be, in words."""


def network(text: str) -> Network | None:
    """Return an address or a network as such, None for a name."""
    try:
        found = ipaddress.ip_network(text.strip("[]").partition("%")[0], strict=False)
    except ValueError:
        return None
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    if mapped and found.prefixlen >= 96:
        return ipaddress.ip_network(f"{mapped}/{found.prefixlen - 96}", strict=False)
    return found


def ask(name: str) -> list[str]:
    """Return the addresses of a name, none if it has none now."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(entry[4][0]).partition("%")[0] for entry in found})


class Allowed:
    """Who is let in.

    Parameters
    ----------
    names
        Addresses, networks and names.
    memory
        The addresses that the names had.
    """

    def __init__(self, names: list[str], memory: Memory) -> None:
        self.memory = {name: memory[name] for name in names if name in memory}
        self._names = names

    def look_up(self) -> None:
        """Ask for the addresses of the names; who has none keeps those it had."""
        for name in self._names:
            addresses = [] if network(name) else ask(name)
            if addresses:
                self.memory[name] = addresses

    def unknown(self) -> list[str]:
        """Return the names without an address."""
        return [n for n in self._names if not network(n) and n not in self.memory]

    def networks(self, version: int) -> list[str]:
        """Return what is let in by one version of the Internet protocol."""
        texts = [t for name in self._names for t in self.memory.get(name, [name])]
        found = {n for n in map(network, texts) if n and n.version == version}
        return sorted(map(str, found))


class Tables:
    """The rules of one version of the Internet protocol.

    Parameters
    ----------
    version
        4 or 6.
    chain
        Name of ours.
    ports
        That are closed by it.
    """

    def __init__(self, version: int, chain: str, ports: list[int]) -> None:
        self._tool = TOOLS[version]
        self._chain = chain
        self._jumps = [f"-p tcp -m tcp --dport {port} -j {chain}" for port in ports]

    def set(self, allowed: list[str]) -> None:
        """Make the rules in one step, so that the ports are open at no moment."""
        if self.wrong(allowed):
            lines = [f":{self._chain} - [0:0]"]
            lines += [f"-A {self._chain} {rule}" for rule in self._wanted(allowed)]
            lines += [f"-D INPUT {rule}" for rule in self._ours()]
            lines += [f"-I INPUT 1 {jump}" for jump in self._jumps]
            self._restore(lines)

    def wrong(self, allowed: list[str]) -> bool:
        """Tell whether the rules in force are others than these."""
        first = []
        for rule in self._list("INPUT"):
            if f" -j {FAMILY}" not in rule:
                break
            first.append(rule)
        jumps = sorted(self._ours()) == sorted(self._jumps) and set(self._jumps) <= set(
            first
        )
        return not jumps or self._list(self._chain) != self._wanted(allowed)

    def clear(self) -> None:
        """Take the rules away."""
        lines = [f"-D INPUT {rule}" for rule in self._ours()]
        if lines or self._run("--list-rules", self._chain)[0] == 0:
            self._restore([f":{self._chain} - [0:0]", *lines, f"-X {self._chain}"])

    def problem(self) -> str:
        """Return why no rules can be set here, empty if they can."""
        code, said = self._run("--list-rules", "INPUT")
        return "" if code == 0 else f"{self._tool}: {said or f'exit code {code}'}"

    @staticmethod
    def _wanted(allowed: list[str]) -> list[str]:
        # A rule for everybody names no source when it is listed.
        sources = ["" if n.endswith("/0") else f"-s {n} " for n in allowed]
        return [
            "-i lo -j ACCEPT",
            *(f"{source}-j ACCEPT" for source in sources),
            "-p tcp -j REJECT --reject-with tcp-reset",
        ]

    def _ours(self) -> list[str]:
        end = f"-j {self._chain}"
        return [rule for rule in self._list("INPUT") if rule.endswith(end)]

    def _list(self, chain: str) -> list[str]:
        start = f"-A {chain} "
        lines = self._run("--list-rules", chain)[1].splitlines()
        return [line[len(start) :] for line in lines if line.startswith(start)]

    def _restore(self, lines: list[str]) -> None:
        program = f"{self._tool}-restore"
        text = "\n".join(["*filter", *lines, "COMMIT", ""])
        code, said = _run([program, "--wait", "--noflush"], text)
        if code:
            raise ProblemError(f"{program}: {said or f'exit code {code}'}")

    def _run(self, *words: str) -> tuple[int, str]:
        return _run([self._tool, "--wait", *words])


def _run(command: list[str], text: str = "") -> tuple[int, str]:
    """Return how a program ended and what it said, of a failure its errors."""
    environment = {"PATH": f"{PLACES}:{os.environ.get('PATH', '')}", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            input=text,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
    except OSError as error:
        return 127, str(error.strerror)
    said = done.stderr if done.returncode else done.stdout
    return done.returncode, said.strip()


class Firewall:
    """What a file says, and the rules that come of it.

    Parameters
    ----------
    config
        What the file says.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._memory = Path(config["memory"])
        self._allowed = Allowed(config["allowed"], self._remembered())
        # Without IPv6 in the kernel there is nobody who could ask by it.
        versions = [4, *([6] if Path("/proc/net/if_inet6").exists() else [])]
        chain, ports = config["chain"], config["ports"]
        self._tables = {v: Tables(v, chain, ports) for v in versions}

    def close(self) -> None:
        """Let in who is known, and nobody else."""
        for version, tables in self._tables.items():
            problem = tables.problem()
            if problem:
                raise ProblemError(f"no rules can be set: {problem}")
            tables.set(self._allowed.networks(version))

    def set(self) -> None:
        """Let in who is allowed, and nobody else."""
        # At once; a name server that is silent is waited for afterwards.
        self.close()
        before = dict(self._allowed.memory)
        self._allowed.look_up()
        if self._allowed.memory != before:
            self.close()
        if self._allowed.memory != self._remembered():
            self._remember()
        self._complain()

    def check(self) -> None:
        """Refuse rules that are not as ``set`` would make them."""
        self._allowed.look_up()
        for version, tables in self._tables.items():
            if tables.wrong(self._allowed.networks(version)):
                raise ProblemError(f"the rules of {TOOLS[version]} are not set")
        self._complain()

    def clear(self) -> None:
        """Take the rules away, and what was remembered for them."""
        for tables in self._tables.values():
            if not tables.problem():
                tables.clear()
        if self._memory.exists():
            self._memory.unlink()

    def _complain(self) -> None:
        unknown = self._allowed.unknown()
        if unknown:
            raise ProblemError(
                f"{', '.join(unknown)} has no address on this host: it is not let in"
            )

    def _remembered(self) -> Memory:
        try:
            found = json.loads(self._memory.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        # What somebody made of it is worth no more than nothing.
        return found if isinstance(found, dict) else {}

    def _remember(self) -> None:
        new = self._memory.with_name(f".{self._memory.name}")
        with new.open("w", encoding="utf-8") as file:
            json.dump(self._allowed.memory, file)
            file.flush()
            # For after a power cut it is kept.
            os.fsync(file.fileno())
        new.replace(self._memory)


def main(program: str, verb: str = "", file: str = "") -> str:
    """Do what a verb says; return what was wrong, empty if nothing was.

    Parameters
    ----------
    program
        How this program was called.
    verb
        What to do.
    file
        What the rules are to be.
    """
    verbs = {
        "set": Firewall.set,
        "close": Firewall.close,
        "check": Firewall.check,
        "clear": Firewall.clear,
    }
    name = Path(program).name
    if verb not in verbs:
        return f"usage: {name} {'|'.join(verbs)} [FILE]"
    # Two at a time would take away each other's rules.
    with Path(file or f"/etc/{name}.json").open(encoding="utf-8") as config:
        fcntl.flock(config, fcntl.LOCK_EX)
        try:
            verbs[verb](Firewall(json.load(config)))
        except ProblemError as problem:
            return f"{name}: {problem}"
    return ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv) or 0)
