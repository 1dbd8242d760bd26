#!/usr/bin/python
# Copyright: The fliswarm developers
# BSD-3-Clause, see LICENSE

"""Make and renew the certificates of a fleet."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificates
short_description: Make and renew the certificates of a fleet
version_added: "1.0.0"
author:
  - The fliswarm developers (@sdss)
description:
  - Keeps the private authorities of a fleet, and all that they signed, in one
    folder of the control machine. Beside each certificate is its key.
  - The authority C(ca.pem) signs the servers, and the controller, which may
    command every engine. The authority C(pullers.pem) signs those who may use
    the registry.
  - Each host has C(hosts/NAME/server.pem), good for servers alone, and
    C(hosts/NAME/puller.pem), good for clients alone. The controller has
    C(controller.pem), good for clients alone.
  - A certificate is renewed when it or its key is missing or broken, when
    another authority signed it, when it does not cover what it has to, or when
    it expires soon. One that covers more stays as it is.
  - While an authority is rotated, its file has two certificates, that which signs
    and the other one, which hosts trust as well. Each run takes the next step when
    every host has followed the last - all trust both, all have certificates of the
    new one - and in the last the former authority is dropped and refused.
  - An authority that would end before what it signs is renewed with its key and
    its name, so that what it signed stays valid.
  - An authority of which one half is missing is refused, as a new one would
    lock every host out.
options:
  folder:
    description:
      - The folder. It is made if it is missing, and closed to everybody else.
    type: path
    required: true
  hosts:
    description:
      - Inventory names, and for each a list of the names and addresses by which
        it is reached. C(localhost), C(127.0.0.1) and C(::1) are always added.
      - What other hosts have in the folder stays as it is.
    type: dict
    required: true
  reserved:
    description:
      - Inventory names, and for each a list of names and addresses that no other
        host may have a certificate for, whatever it says of itself in O(hosts).
    type: dict
    default: {}
  days:
    description:
      - Days that a new certificate lives, at most 1825, which is half the life
        of an authority.
      - The default is the longest life that all TLS clients accept of a private
        authority.
    type: int
    default: 825
  renew_days:
    description:
      - Days before its end from which on a certificate is renewed, less than
        O(days).
    type: int
    default: 90
  warn_days:
    description: Days before its end from which on each run warns of a certificate.
    type: int
    default: 60
  passphrase:
    description:
      - Passphrase of the authorities' keys. Keys that have none yet are put under it.
      - It is needed when something has to be signed.
    type: str
  key:
    description: Key of C(ca.pem) in PEM, when it is not kept in the folder.
    type: str
  pullers_key:
    description: Key of C(pullers.pem) in PEM, when it is not kept in the folder.
    type: str
  carried:
    description:
      - Hosts that were asked, and for each the certificates that it carries, as
        M(sdss.fliswarm.host_certificates) tells them.
    type: dict
    default: {}
  machines:
    description:
      - What tells the computers of hosts from others. Another one of the same name
        gets new keys.
    type: dict
    default: {}
  members:
    description: All hosts that have to follow when an authority is rotated.
    type: list
    elements: str
    default: []
  rotate:
    description: Whether to begin to rotate the authorities.
    type: bool
    default: false
  new_authority:
    description: Whether to make a new one although hosts carry that of another folder.
    type: bool
    default: false
requirements:
  - cryptography >= 42 on the control machine (ansible-core depends on it)
attributes:
  check_mode:
    description: Says what would be made, and why, and touches nothing.
    support: full
  diff_mode:
    description: Lists the certificates and why they are made, never a key.
    support: full
notes:
  - Run it on the control machine, with C(delegate_to=localhost).
  - Keys are in no result, no log and no diff.
"""

EXAMPLES = r"""
- name: Make the certificates of two hosts
  sdss.fliswarm.certificates:
    folder: ~/.fliswarm/pki/APO
    hosts:
      sdss-hub: [sdss-hub, 10.25.1.1]
      gfa1: [gfa1, sdss-gfa1, 10.25.1.11, "2001:db8::11"]
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
made:
  description: What was made, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: >-
        The file, relative to the folder. A certificate stands for itself and
        its key.
      type: str
      sample: hosts/gfa1/server.pem
    reason:
      description: Why it was made.
      type: str
      sample: it expires on 2026-12-01
expires:
  description: >-
    The day on which each certificate expires, by its path relative to the
    folder.
  returned: success
  type: dict
  sample: {ca.pem: "2036-11-22", hosts/gfa1/server.pem: "2029-02-27"}
ending:
  description: Certificates that end soon, and the days that they have left.
  returned: success
  type: dict
  sample: {hosts/gfa1/server.pem: 12}
rotation:
  description: >-
    C(trust) while hosts learn to trust the next authority, C(renew) while they get
    certificates of it, empty when none is rotated.
  returned: success
  type: str
  sample: trust
waits:
  description: Hosts that have not followed the rotation yet.
  returned: success
  type: list
  elements: str
  sample: [gfa3]
told:
  description: Authorities that take certificates whose keys may be in journals.
  returned: success
  type: list
  elements: str
  sample: [ca.pem]
authority:
  description: >-
    SHA-256 fingerprint of C(ca.pem); null in check mode when there is none yet.
  returned: success
  type: str
  sample: 0e4a9b7cc6d1f4f1a5f8f0a6e6b1f6c3b4d5a6978877665544332211ffeeddcc
"""

import datetime as dt
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.sdss.fliswarm.plugins.module_utils import authority
from ansible_collections.sdss.fliswarm.plugins.module_utils.authority_folder import (
    AuthorityFolder,
    Keys,
    RefusedError,
    Site,
    wanted,
)

OPTIONS: dict[str, Any] = {
    "folder": {"type": "path", "required": True},
    "hosts": {"type": "dict", "required": True},
    "reserved": {"type": "dict", "default": {}},
    "days": {"type": "int", "default": 825},
    "renew_days": {"type": "int", "default": 90},
    "warn_days": {"type": "int", "default": 60},
    "passphrase": {"type": "str", "no_log": True},
    "key": {"type": "str", "no_log": True},
    "pullers_key": {"type": "str", "no_log": True},
    "carried": {"type": "dict", "default": {}},
    "machines": {"type": "dict", "default": {}},
    "members": {"type": "list", "elements": "str", "default": []},
    "rotate": {"type": "bool", "default": False},
    "new_authority": {"type": "bool", "default": False},
}


def make(options: dict[str, Any], check: bool) -> dict[str, Any]:
    """Make what has to be, and return the result."""
    terms = authority.Terms(
        options["days"],
        options["renew_days"],
        dt.datetime.now(dt.timezone.utc),
    )
    passphrase = options["passphrase"]
    keys = Keys(
        passphrase.encode() if passphrase else None,
        {"ca": options["key"] or "", "pullers": options["pullers_key"] or ""},
    )
    site = Site(
        options["carried"],
        options["machines"],
        tuple(options["members"]),
        options["rotate"],
        options["new_authority"],
    )
    folder = AuthorityFolder(Path(options["folder"]), check, keys, site)
    folder.make(wanted(options["hosts"], options["reserved"]), terms)
    known = {*options["hosts"], *options["members"]}
    ending = {
        path: days
        for path, days in folder.ending(terms.now, options["warn_days"]).items()
        if not path.startswith("hosts/") or path.split("/")[1] in known
    }
    return {
        "ending": ending,
        "rotation": folder.rotation,
        "waits": sorted(folder.waits),
        "told": folder.told,
        "changed": bool(folder.made),
        "made": folder.made,
        "expires": folder.expires,
        "authority": folder.fingerprint,
    }


def warnings(result: dict[str, Any]) -> list[str]:
    """Return what whoever runs this should know before it hurts."""
    found = []
    days: dict[str, int] = {}
    for path, left in result["ending"].items():
        parts = path.split("/")
        name = parts[1] if parts[0] == "hosts" else Path(path).stem
        days[name] = min(left, days.get(name, left))
    if days:
        words = [
            f"{name} (in {left} days)" if left >= 0 else f"{name} (expired)"
            for name, left in sorted(days.items(), key=lambda one: one[1])
        ]
        found.append(
            f"The certificates of these end soon: {', '.join(words)}. Remedy: fliswarm"
            " provision, without --limit, with the key of the authority at hand, while"
            " they answer."
        )
    if result["waits"]:
        found.append(
            "The authority is being rotated, and these have not followed yet:"
            f" {', '.join(result['waits'])}. Nothing stops meanwhile. Remedy: run for"
            " all hosts again, while they answer; each run takes the next step."
        )
    elif result["told"]:
        found.append(
            f"{' and '.join(result['told'])} signed keys that the first version wrote"
            " into journals. They are replaced, and who has one is let in until it"
            " ends. Remedy: ansible-playbook rotate.yml, which stops no camera."
        )
    return found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    if authority.IMPORT_ERROR:
        module.fail_json(
            msg=missing_required_lib("cryptography >= 42"),
            exception=authority.IMPORT_ERROR,
        )
    try:
        result = make(module.params, module.check_mode)
    except RefusedError as refusal:
        module.fail_json(msg=str(refusal))
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename or module.params['folder']}: {error.strerror}."
            " Remedy: let the user who runs this write there."
        )
    for warning in warnings(result):
        module.warn(warning)
    if module._diff:
        lines = [f"{one['path']}: {one['reason']}\n" for one in result["made"]]
        result["diff"] = {"prepared": "".join(lines)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
