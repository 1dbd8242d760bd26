#!/usr/bin/python
"""Ansible module: whether this host gets in to a Docker Engine on another one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_proof
short_description: Ask a Docker Engine over the network for a sign of life
version_added: 1.0.0
description:
  - Proves from the host where it runs that an engine answers, or that it does not.
  - Changes nothing.
options:
  host:
    description: Name or address of the computer with the engine.
    type: str
    required: true
  port:
    description: TCP port on which it listens.
    type: int
    required: true
  tls:
    description: What to show the engine, as PEM; without it the question is plain.
    type: dict
    suboptions:
      authority:
        description: Certificate of the authority of both.
        type: str
        required: true
      certificate:
        description: Certificate of who asks.
        type: str
        required: true
      key:
        description: Its private key.
        type: str
        required: true
  state:
    description:
      - C(open) fails unless the engine answers.
      - C(closed) fails when a connection comes about, unless it comes from an
        address of C(allowed).
    type: str
    choices: [open, closed]
    default: open
  allowed:
    description: Addresses, networks and names of the computers that may get in.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds in which the engine has to answer, or the connection to fail.
    type: int
    default: 20
attributes:
  check_mode:
    description: Asks as well.
    support: full
  diff_mode:
    description: There are no differences.
    support: none
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: The manager gets in
  sdss.fliswarm.engine_proof:
    host: gfa1
    port: 2375
  delegate_to: hub

- name: Nobody else does
  sdss.fliswarm.engine_proof:
    host: gfa1
    port: 2375
    state: closed
    allowed: [hub]
  delegate_to: gfa2
"""

RETURN = r"""
address:
  description: From where the host asked, empty when there was no connection.
  returned: success
  type: str
"""

import ipaddress
import os
import socket
import ssl
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from ansible_collections.sdss.fliswarm.plugins.module_utils.quiet import QuietModule

PAUSE = 0.5
"""Seconds between two questions to an engine that has just been started."""


class ProblemError(Exception):
    """What is not as it should be, in words."""


def context_of(tls: dict[str, str]) -> ssl.SSLContext:
    """Return what a connection shows and trusts.

    Parameters
    ----------
    tls
        Texts ``authority``, ``certificate`` and ``key``.
    """
    lacking = [name for name, text in sorted(tls.items()) if not text]
    if lacking:
        raise ProblemError(
            f"there is no {' and no '.join(lacking)} to ask it with. Remedy: let the "
            "role pki make them, in the folder fliswarm_pki of this site"
        )
    context = ssl.create_default_context(cadata=tls["authority"])
    with tempfile.TemporaryDirectory() as folder:
        # The library reads them from files alone; the folder is for this user alone.
        file = Path(folder, "pair.pem")
        file.touch(0o600)
        file.write_text(tls["key"] + "\n" + tls["certificate"], "utf-8")
        context.load_cert_chain(str(file))
    return context


class Question:
    """A question to an engine.

    Parameters
    ----------
    host, port
        Where it listens.
    context
        What the connection shows and trusts, None for a plain one.
    limit
        Seconds for all.
    """

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext | None, limit: int
    ) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._end = time.monotonic() + limit

    def answered(self) -> str:
        """Return the address from which the engine answered; fail without an answer."""
        while True:
            try:
                return self._ask()
            except (OSError, HTTPException) as error:
                if time.monotonic() + PAUSE > self._end:
                    raise ProblemError(self._words(error)) from error
            time.sleep(PAUSE)

    def connected(self) -> str:
        """Return the address of a connection that came about, empty for none."""
        try:
            with self._connect() as link:
                return str(link.getsockname()[0])
        except OSError:
            return ""

    def _connect(self) -> socket.socket:
        left = max(self._end - time.monotonic(), PAUSE)
        return socket.create_connection((self._host, self._port), timeout=left)

    def _ask(self) -> str:
        with self._connect() as plain:
            address = str(plain.getsockname()[0])
            link = plain
            if self._context:
                link = self._context.wrap_socket(plain, server_hostname=self._host)
            with link:
                asked = HTTPConnection(self._host, self._port)
                asked.sock = link
                asked.request("GET", "/_ping")
                status = asked.getresponse().status
        if status != 200:
            raise HTTPException(f"status {status}")
        return address

    def _words(self, error: Exception) -> str:
        there = f"port {self._port} of {self._host}"
        if isinstance(error, ssl.SSLError):
            return (
                f"{error}. Remedy: see that fliswarm_pki is the folder of this site, "
                "and that the clocks of both computers are right"
            )
        if isinstance(error, socket.gaierror):
            return (
                f"{error}. Remedy: give its address as ansible_host, or let the "
                "manager know the name"
            )
        if isinstance(error, ConnectionRefusedError):
            said = "it refuses the connection"
        elif isinstance(error, socket.timeout):
            said = "nothing comes back"
        else:
            said = f"{error}" or type(error).__name__
        return (
            f"{said}. Remedy: let the manager in to {there}, in ufw, firewalld or "
            "nftables of that host and in the network between them, and run again"
        )


def within(address: str, allowed: list[str]) -> bool:
    """Tell whether an address is one of these.

    Parameters
    ----------
    address
        Of a computer.
    allowed
        Addresses, networks and names.
    """
    mine = ipaddress.ip_address(address.partition("%")[0])
    for text in allowed:
        try:
            networks = [ipaddress.ip_network(text.strip("[]"), strict=False)]
        except ValueError:
            networks = [ipaddress.ip_network(found) for found in _addresses(text)]
        if any(mine in network for network in networks):
            return True
    return False


def _addresses(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]).partition("%")[0] for entry in found]


def prove(params: dict[str, Any]) -> str:
    """Return the address from which an engine was asked; fail with what is wrong.

    Parameters
    ----------
    params
        Of the module.
    """
    host, port = params["host"], params["port"]
    here, there = os.uname().nodename, f"port {port} of {host}"
    if params["state"] == "closed":
        address = Question(host, port, None, params["timeout"]).connected()
        if address and not within(address, params["allowed"]):
            raise ProblemError(
                f"{there} lets in {here} ({address}), which is none of "
                f"{', '.join(params['allowed']) or 'nobody'}. Who gets in there is "
                "root. Remedy: look for a rule that accepts it before those of "
                "fliswarm-docker-firewall (iptables --list-rules INPUT)"
            )
        return address
    try:
        context = context_of(params["tls"]) if params["tls"] is not None else None
        return Question(host, port, context, params["timeout"]).answered()
    except (ProblemError, ssl.SSLError) as error:
        raise ProblemError(
            f"the engine on {there} does not answer {here}, the manager: {error}"
        ) from error


def arguments() -> dict[str, Any]:
    """Return the specification of the parameters."""
    text = {"type": "str", "required": True}
    return {
        "host": text,
        "port": {"type": "int", "required": True},
        "tls": {
            "type": "dict",
            "options": {
                "authority": text,
                "certificate": text,
                "key": {**text, "no_log": True},
            },
        },
        "state": {"type": "str", "choices": ["open", "closed"], "default": "open"},
        "allowed": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 20},
    }


def main() -> None:
    """Do what the parameters ask for."""
    module = QuietModule(arguments(), supports_check_mode=True)
    try:
        address = prove(module.params)
    except ProblemError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=False, address=address)


if __name__ == "__main__":
    main()
