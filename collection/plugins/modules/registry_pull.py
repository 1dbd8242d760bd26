#!/usr/bin/python
"""Ansible module: whether this host's engine gets an image from a registry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_pull
short_description: Prove that an engine gets an image from a registry
version_added: 1.0.0
description:
  - Has the Docker Engine of the host pull a small image. Each time the engine
    asks the registry, also when it has the image.
  - Without an engine there is nothing to do.
options:
  image:
    description: Full name of the image, with its tag.
    type: str
    required: true
  digest:
    description: What the image has to be; whatever it is when empty.
    type: str
    default: ""
  socket:
    description: Where the engine listens.
    type: path
    default: /var/run/docker.sock
attributes:
  check_mode:
    description: Has the engine ask the registry for the image, and pulls nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Prove that the engine gets images
  sdss.fliswarm.registry_pull:
    image: 10.25.1.1:5000/fliswarm/proof:latest
"""

RETURN = r"""
reason:
  description: Why the image was pulled, or would be; empty when it was there.
  returned: success
  type: str
"""

import http.client
import json
import urllib.parse
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sdss.fliswarm.plugins.module_utils import engine_api

LIMIT = 60
"""Seconds for the engine to say something."""


class PullError(Exception):
    """Why the engine does not get the image, in words for the user."""


def problem(status: int, said: str) -> str:
    """Return why a pull failed, empty when it did not; said is a report a line."""
    reports = [json.loads(line) for line in said.splitlines() if line.strip()]
    errors = []
    for report in reports:
        detail = report.get("errorDetail") or {}
        word = report.get("error") or detail.get("message")
        if word:
            errors.append(word)
    if status != HTTPStatus.OK:
        errors.append(_message(said))
    return "; ".join(errors)


def _message(said: str) -> str:
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        return said.strip()


class Engine:
    """The engine of this host.

    Parameters
    ----------
    path
        Its socket.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def digests(self, image: str) -> list[str]:
        """Return the digests of an image that the engine has, by their registries."""
        status, said = self._ask("GET", f"/images/{image}/json")
        if status != HTTPStatus.OK:
            return []
        found: dict[str, Any] = json.loads(said)
        repository = image.rpartition(":")[0]
        names = [name.split("@") for name in found.get("RepoDigests") or []]
        return [name[1] for name in names if name[0] == repository]

    def offered(self, image: str) -> str:
        """Return the digest that the registry has for the engine.

        Raises
        ------
        PullError
            The engine does not get at it.
        """
        status, said = self._ask("GET", f"/distribution/{image}/json")
        if status != HTTPStatus.OK:
            raise PullError(f"Docker Engine cannot pull {image}: {_message(said)}")
        return str(json.loads(said)["Descriptor"]["digest"])

    def pull(self, image: str) -> None:
        """Pull an image.

        Raises
        ------
        PullError
            Why it does not work.
        """
        repository, _colon, tag = image.rpartition(":")
        words = urllib.parse.urlencode({"fromImage": repository, "tag": tag})
        why = problem(*self._ask("POST", f"/images/create?{words}"))
        if why:
            raise PullError(f"Docker Engine cannot pull {image}: {why}")

    def _ask(self, method: str, path: str) -> engine_api.Answer:
        return engine_api.ask(method, path, LIMIT, self._path)


def prove(engine: Engine, image: str, digest: str, check: bool) -> str:
    """Have an image pulled; return why it was, or would be, empty when it was there.

    Raises
    ------
    PullError
        The engine does not get it, or another one.
    """
    before = engine.digests(image)
    if check:
        now = [engine.offered(image)]
    else:
        engine.pull(image)
        now = engine.digests(image)
    if digest and digest not in now:
        raise PullError(
            f"Docker Engine gets another {image} than the manager's registry has: "
            "something else answers under that name. Remedy: look whether the name "
            "leads this host to the manager."
        )
    if not before:
        return "the engine had it not"
    return "" if set(before) & set(now) else "the registry has another one"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "image": {"type": "str", "required": True},
            "digest": {"type": "str", "default": ""},
            "socket": {"type": "path", "default": engine_api.API},
        },
        supports_check_mode=True,
    )
    options, check = module.params, bool(module.check_mode)
    if not Path(options["socket"]).exists():
        module.exit_json(changed=False, reason="")
    engine = Engine(options["socket"])
    try:
        reason = prove(engine, options["image"], options["digest"], check)
    except PullError as error:
        reason = str(error)
        if not check:
            module.fail_json(
                msg=f"{reason}. Remedy: run the role docker_engine for this host, and "
                "registry for the manager."
            )
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        reason = f"Docker Engine does not answer: {error or type(error).__name__}"
        if not check:
            module.fail_json(msg=reason)
    module.exit_json(changed=bool(reason), reason=reason)


if __name__ == "__main__":
    main()
