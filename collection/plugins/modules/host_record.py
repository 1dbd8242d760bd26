#!/usr/bin/python
"""Ansible module: what a host had before it was touched, and how it gets it back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_record
short_description: Remember what packages and users a host had, and give that back
version_added: 1.0.0
description:
  - Remembers, before anything is installed, which packages, users, groups and
    memberships a host has.
  - Gives that back later. What was there before is never removed.
  - Finishes an installation that was interrupted, when a package lacks.
options:
  name:
    description: Name of the record on the host, a word.
    type: str
    required: true
  packages:
    description: Packages that are going to be installed.
    type: list
    elements: str
    default: []
  users:
    description: Users that are going to be made, or put into more groups.
    type: list
    elements: str
    default: []
  groups:
    description: Groups that are going to be made, or get more members.
    type: list
    elements: str
    default: []
  folders:
    description: Folders that what is installed is going to fill.
    type: list
    elements: str
    default: []
  members:
    description:
      - Groups that users are going to be put into, a list by user. Who is not listed
        any more, and was put in by an earlier run, is told as C(leaving).
    type: dict
    default: {}
  state:
    description:
      - C(kept) remembers what is listed, each at its first sight.
      - C(restored) goes by the record. It purges the packages that were not there, and
        the dependencies that came with them and that nothing needs; it removes users
        and groups that were not there, and takes memberships back.
      - The home of a removed user stays when it holds files of somebody's own.
    type: str
    choices: [kept, restored]
    default: kept
  store:
    description: Folder of the records on the host.
    type: path
    default: /var/lib/fliswarm-provision
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Lists what is removed.
    support: full
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Remember what there was
  sdss.fliswarm.host_record:
    name: clock
    packages: [chrony]
    users: [clock]
  register: host

- name: Install what lacks
  ansible.builtin.apt:
    name: "{{ host.lacking }}"
  when: host.lacking | length > 0

- name: As if nothing had been
  sdss.fliswarm.host_record:
    name: clock
    state: restored
"""

RETURN = r"""
lacking:
  description: The packages of the list that are not installed.
  returned: kept
  type: list
  elements: str
users:
  description:
    - When kept, the users of the list that there are, each with its C(uid), C(gid),
      C(groups), C(home) and C(shell).
    - When restored, the names of those that were removed.
  returned: always
  type: raw
missing_groups:
  description: The groups of the list that there are not.
  returned: kept
  type: list
  elements: str
leaving:
  description:
    - Memberships that earlier runs asked for and this one does not, each a user and a
      group. Those that the host had at first sight are not among them.
  returned: kept
  type: list
  elements: list
own_folders:
  description: The folders of the record that were empty, or not there, at first sight.
  returned: always
  type: list
  elements: str
ssh_keys:
  description: The public ssh keys of the host itself.
  returned: kept
  type: list
  elements: str
packages:
  description: The packages that were purged.
  returned: restored
  type: list
  elements: str
groups:
  description: The groups that were removed.
  returned: restored
  type: list
  elements: str
memberships:
  description: The memberships that were taken back, each a user and a group.
  returned: restored
  type: list
  elements: list
stays:
  description: Homes that stay, as they hold files of somebody's own, and packages that
    others need.
  returned: restored
  type: list
  elements: str
"""

import grp
import os
import pwd
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sdss.fliswarm.plugins.module_utils import host, kept

SKELETON = "/etc/skel"

APT_LIMIT = 600
"""Seconds for apt to remove packages, their services included."""

LOCK_LIMIT = 600
"""Seconds for another apt to end."""


class ProblemError(Exception):
    """What stands in the way, in words for the user."""


def run(*command: str, limit: float = 60) -> tuple[int, str]:
    """Run a command; return its exit code and all that it put out."""
    fixed = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **fixed},
            timeout=limit,
            check=False,
        )
    except FileNotFoundError:
        return 127, f"there is no {command[0]}"
    except subprocess.TimeoutExpired:
        return 124, f"{' '.join(command)} took more than {limit:g} s"
    return done.returncode, done.stdout.decode(errors="replace")


def must(*command: str, limit: float = 60) -> str:
    """Run a command that has to succeed; return what it put out."""
    code, said = run(*command, limit=limit)
    if code:
        raise ProblemError(f"{' '.join(command)}: {said.strip()[-2000:]}")
    return said


def states() -> dict[str, str]:
    """Return the state of each package that dpkg knows, by name."""
    said = must(
        "dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\\n"
    )
    return dict(line.split(" ") for line in said.splitlines())


def installed() -> set[str]:
    """Return the names of the packages that are installed, wholly or in part."""
    gone = ("config-files", "not-installed")
    return {name for name, state in states().items() if state not in gone}


def finish_interrupted() -> bool:
    """Finish what a dpkg that was interrupted has left; tell if there was anything."""
    done = ("installed", "config-files", "not-installed")
    if all(state in done for state in states().values()):
        return False
    deadline = time.monotonic() + LOCK_LIMIT
    while True:
        code, said = run(
            *("dpkg", "--force-confdef", "--force-confold", "--configure", "-a"),
            limit=APT_LIMIT,
        )
        if code == 0:
            return True
        if "lock" not in said or time.monotonic() > deadline:
            raise ProblemError(f"dpkg --configure -a: {said.strip()[-2000:]}")
        time.sleep(2)


def user(name: str) -> dict[str, Any] | None:
    """Return what there is of a user, None when there is none."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return {
        "uid": found.pw_uid,
        "gid": found.pw_gid,
        "groups": sorted(g.gr_name for g in grp.getgrall() if name in g.gr_mem),
        "home": found.pw_dir,
        "shell": found.pw_shell,
    }


def is_group(name: str) -> bool:
    """Tell whether there is a group of this name."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def ssh_keys() -> list[str]:
    """Return type and key of each key of the host, without who made it."""
    files = sorted(Path("/etc/ssh").glob("ssh_host_*_key.pub"))
    return [" ".join(file.read_text("utf-8").split()[:2]) for file in files]


def is_filled(folder: str) -> bool:
    """Tell whether there is something in a folder."""
    return Path(folder).is_dir() and any(Path(folder).iterdir())


def own_folders(known: dict[str, Any]) -> list[str]:
    """Return the folders of a record that had nothing in them."""
    return sorted(p for p, filled in known.get("folders", {}).items() if not filled)


def own_files(home: str, skeleton: str = SKELETON) -> list[str]:
    """Return the files in a home that somebody has put there.

    Parameters
    ----------
    home
        The folder. Empty files are marks that programs leave.
    skeleton
        Folder of the files that each new home gets.
    """
    found = []
    for folder, _folders, names in os.walk(home):
        for name in names:
            file = Path(folder, name)
            inner = file.relative_to(home)
            if file.is_file() and not file.is_symlink():
                given = Path(skeleton, inner)
                if str(inner) == ".ssh/authorized_keys" or file.stat().st_size == 0:
                    continue
                if given.is_file() and given.read_bytes() == file.read_bytes():
                    continue
            found.append(str(inner))
    return sorted(found)


def removal(*options: str) -> set[str]:
    """Return the packages that apt would remove with these options.

    What another package merely suggests nobody needs: without its suggestions counted
    python3 would hold what came with python3-venv.
    """
    strict = ("--option", "APT::AutoRemove::SuggestsImportant=false")
    return set(host.removed(must("apt-get", "--simulate", *strict, *options)))


def purge(known: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the packages to purge, and those that others have come to need.

    Parameters
    ----------
    known
        The record. What an interrupted removal still had to do is in it.
    """
    before, now = set(known["packages"]), installed()
    ours: list[str] = []
    needed: list[str] = []
    for name in sorted(set(known["listed"]) & now - before):
        others = removal("purge", name) - set(known["listed"])
        (needed if others else ours).append(name)
    leaving = set(known.get("leaving", [])) & now
    if ours:
        # What nothing needs already, others have left.
        loose = removal("autoremove")
        leaving |= removal("purge", "--autoremove", *ours) - loose - before
    return sorted(leaving | set(ours)), needed


def leaving(known: dict[str, Any], wanted: dict[str, Any]) -> list[list[str]]:
    """Return the memberships that were given, and that are not wanted any more.

    Parameters
    ----------
    known
        The record.
    wanted
        Groups by user.
    """
    return [
        [name, group]
        for name, groups in sorted(known.get("members", {}).items())
        for group in groups
        if group not in wanted.get(name, [])
        and group in (user(name) or {"groups": []})["groups"]
        and group not in (known["users"].get(name) or {"groups": []})["groups"]
    ]


class Plan:
    """What it takes to give a host back.

    Parameters
    ----------
    known
        The record.
    """

    def __init__(self, known: dict[str, Any]) -> None:
        self._known = known
        self.packages, self.stays = purge(known)
        self.users = sorted(
            n for n, was in known["users"].items() if not was and user(n)
        )
        self.groups = sorted(
            name for name, was in known["groups"].items() if not was and is_group(name)
        )
        self.memberships = [
            [name, group]
            for name, was in known["users"].items()
            for group in known["groups"]
            if was
            and group not in [*was["groups"], *self.groups]
            and group in (user(name) or {"groups": []})["groups"]
        ]
        homes = {name: (user(name) or {})["home"] for name in self.users}
        self.homes = {name: home for name, home in homes.items() if Path(home).is_dir()}
        self.stays += sorted(home for home in self.homes.values() if own_files(home))

    def result(self) -> dict[str, Any]:
        """Return what goes, as the module's result."""
        lines = [f"package {name}" for name in self.packages]
        lines += [f"user {name}" for name in self.users]
        lines += [f"group {name}" for name in self.groups]
        lines += [f"{name} in group {group}" for name, group in self.memberships]
        return {
            "packages": self.packages,
            "users": self.users,
            "groups": self.groups,
            "memberships": self.memberships,
            "stays": self.stays,
            "own_folders": own_folders(self._known),
            "diff": {"before": "".join(f"{line}\n" for line in lines), "after": ""},
        }

    def carry_out(self, record: kept.Record) -> None:
        """Remove what was not there, and forget."""
        if self.packages:
            record.save({**self._known, "leaving": self.packages})
            must(
                *("apt-get", "--quiet", "--yes"),
                *("--option", f"DPkg::Lock::Timeout={LOCK_LIMIT}"),
                *("purge", *self.packages),
                limit=APT_LIMIT,
            )
        for name, group in self.memberships:
            must("gpasswd", "--delete", name, group)
        for name in self.users:
            self._remove_user(name)
        for name in self.groups:
            if is_group(name):
                must("groupdel", name)
        record.remove()

    def _remove_user(self, name: str) -> None:
        if not user(name):
            return
        home = self.homes.get(name, "")
        all_of_it = ["--remove"] if home and home not in self.stays else []
        run("loginctl", "terminate-user", name)
        busy = 8
        code, said = run("userdel", *all_of_it, name)
        for _try in range(20):
            if code != busy:
                break
            time.sleep(0.5)
            code, said = run("userdel", *all_of_it, name)
        if code:
            raise ProblemError(f"userdel {name}: {said.strip()}")


def keep(module: AnsibleModule, record: kept.Record) -> dict[str, Any]:
    """Remember what is listed, and tell what there is of it."""
    params = module.params
    known = record.load() or {
        "packages": sorted(installed()),
        "listed": [],
        "users": {},
        "groups": {},
        "folders": {},
    }
    lacking = _lacking(params["packages"])
    outgoing = host.removed_by(lacking)
    if outgoing:
        raise ProblemError(host.refusal(lacking, outgoing))
    gone = leaving(known, params["members"])
    members = {name: list(groups) for name, groups in params["members"].items()}
    for name, group in gone:
        # Until it is taken back.
        members.setdefault(name, []).append(group)
    unknown = set(params["packages"]) - set(known["listed"])
    there = unknown & installed()
    fresh = {
        **known,
        "packages": sorted({*known["packages"], *there}),
        "listed": sorted({*known["listed"], *params["packages"]}),
        "users": {**{name: user(name) for name in params["users"]}, **known["users"]},
        "groups": {
            **{name: is_group(name) for name in params["groups"]},
            **known["groups"],
        },
        "folders": {
            **{path: is_filled(path) for path in params["folders"]},
            **known.get("folders", {}),
        },
        "members": {name: sorted(groups) for name, groups in members.items()},
    }
    if not module.check_mode and fresh != record.load():
        record.save(fresh)
    finished = bool(lacking) and not module.check_mode and finish_interrupted()
    if finished:
        lacking = _lacking(params["packages"])
    users = {name: user(name) for name in params["users"]}
    return {
        "changed": finished,
        "lacking": lacking,
        "users": {name: found for name, found in users.items() if found},
        "missing_groups": [name for name in params["groups"] if not is_group(name)],
        "leaving": gone,
        "own_folders": own_folders(fresh),
        "ssh_keys": ssh_keys(),
    }


def _lacking(packages: list[str]) -> list[str]:
    there = states()
    return [name for name in packages if there.get(name) != "installed"]


def restore(module: AnsibleModule, record: kept.Record) -> dict[str, Any]:
    """Give the host back what it was."""
    known = record.load()
    if not known:
        known = {"packages": [], "listed": []}
        known.update({kind: {} for kind in ("users", "groups", "folders")})
        return {"changed": False, **Plan(known).result()}
    if not module.check_mode:
        finish_interrupted()
    plan = Plan(known)
    result = plan.result()
    if not module.check_mode:
        plan.carry_out(record)
    return {"changed": True, **result}


def main() -> None:
    """Do what the parameters ask for."""
    words = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        {
            "name": {"type": "str", "required": True},
            "packages": words,
            "users": words,
            "groups": words,
            "folders": words,
            "members": {"type": "dict", "default": {}},
            "state": {
                "type": "str",
                "choices": ["kept", "restored"],
                "default": "kept",
            },
            "store": {"type": "path", "default": kept.STORE},
        },
        supports_check_mode=True,
    )
    host.know_root_programs()
    record = kept.Record(module.params["name"], module.params["store"])
    act = keep if module.params["state"] == "kept" else restore
    try:
        with kept.locked():
            result = act(module, record)
    except (ProblemError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
