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
    default: 60
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
    RefusedError,
    wanted,
)

OPTIONS: dict[str, Any] = {
    "folder": {"type": "path", "required": True},
    "hosts": {"type": "dict", "required": True},
    "reserved": {"type": "dict", "default": {}},
    "days": {"type": "int", "default": 825},
    "renew_days": {"type": "int", "default": 60},
}


def make(options: dict[str, Any], check: bool) -> dict[str, Any]:
    """Make what has to be, and return the result."""
    terms = authority.Terms(
        options["days"], options["renew_days"], dt.datetime.now(dt.timezone.utc)
    )
    folder = AuthorityFolder(Path(options["folder"]), check)
    folder.make(wanted(options["hosts"], options["reserved"]), terms)
    return {
        "changed": bool(folder.made),
        "made": folder.made,
        "expires": folder.expires,
        "authority": folder.fingerprint,
    }


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
    if module._diff:
        lines = [f"{one['path']}: {one['reason']}\n" for one in result["made"]]
        result["diff"] = {"prepared": "".join(lines)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
