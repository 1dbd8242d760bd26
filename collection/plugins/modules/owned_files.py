#!/usr/bin/python
"""Ansible module: a set of files of ours, and what has to follow them, as one step."""

from __future__ import annotations

DOCUMENTATION = r"""
module: owned_files
short_description: Write a set of files as one step, and give them back
version_added: 1.0.0
description:
  - Writes files, whole or not at all, and runs commands after a change.
  - Remembers on the host what was there before, and gives it back.
  - A run that is interrupted at any moment is finished by the next one.
options:
  name:
    description: Name of the record of these files on the host, a word.
    type: str
    required: true
  folders:
    description: Folders to make, or to give to their owner.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is. A leading C(~USER) is that user's home.
        type: str
        required: true
      owner:
        description: Its user.
        type: str
        default: root
      group:
        description: Its group; that of the user unless given.
        type: str
      mode:
        description: Its permissions, as an octal number.
        type: str
        default: "0755"
  files:
    description: Files to write. One of an earlier run that is not here is given back.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      content:
        description: Its whole text.
        type: str
        required: true
      owner:
        description: Its user.
        type: str
        default: root
      group:
        description: Its group; that of the user unless given.
        type: str
      mode:
        description: Its permissions, as an octal number.
        type: str
        default: "0644"
      validate:
        description: Command that fails on a wrong file; C(%s) stands for its path.
        type: str
      hide:
        description:
          - Regular expression of what is secret in it; what its last group matches
            is in no difference. Passwords in URLs, and values whose names say that
            they are secret, never are.
        type: str
  blocks:
    description:
      - Parts of files that others own, between two lines that mark them.
      - The rest of the file stays, and so do its owner and its permissions.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where the file is. A leading C(~USER) is that user's home.
        type: str
        required: true
      block:
        description: Its lines; without any, the part is taken out.
        type: str
        required: true
      keep:
        description: Leave the part as it is, whatever its lines.
        type: bool
        default: false
      owner:
        description: User of a file that has to be made.
        type: str
        default: root
      mode:
        description: Permissions of a file that has to be made, as an octal number.
        type: str
        default: "0644"
  secrets:
    description: Secret files, path to text, for one user alone.
    type: dict
    default: {}
  secret_owner:
    description: User of the secret files.
    type: str
    default: root
  then:
    description:
      - Commands, each a list of words, that make a change effective; run in this order.
      - The environment variable C(CHANGED) holds the paths that changed, a line each.
        It is empty where no file changed and O(holds) failed, and where it fails after
        what was done for those that changed.
      - Run again by the next run until all have succeeded.
    type: list
    elements: list
    default: []
  holds:
    description:
      - Command, a list of words, that succeeds while what C(then) brings about is so.
      - It is asked in each run. When it fails, C(then) is run although no file
        changed; when it still fails after that, so does the module, with its words.
      - With C(then), this or O(units) is required.
    type: list
    elements: str
    default: []
  units:
    description:
      - Units of systemd that read the files when they start. Part of what holds is that
        they start with the host, run, and were started after the last file was written.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      port:
        description: TCP port on which its main process has to listen.
        type: int
  undo:
    description: Commands that are run before the files are given back, then forgotten.
    type: list
    elements: list
    default: []
  timeout:
    description: Seconds that each command may take.
    type: int
    default: 120
  state:
    description: C(absent) gives back all that the record knows.
    type: str
    choices: [present, absent]
    default: present
  store:
    description: Folder of the records on the host.
    type: path
    default: /var/lib/fliswarm-provision
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
- name: A service that is as its unit says
  sdss.fliswarm.owned_files:
    name: clock
    files:
      - path: /etc/systemd/system/clock.service
        content: "{{ unit }}"
    then:
      - [systemctl, daemon-reload]
      - [systemctl, restart, clock]
    units: [{name: clock.service}]
    undo:
      - [systemctl, disable, --now, clock]

- name: Neither service nor unit
  sdss.fliswarm.owned_files:
    name: clock
    state: absent
    then:
      - [systemctl, daemon-reload]
"""

RETURN = r"""
changed_files:
  description: Paths that were written, removed or given back.
  returned: always
  type: list
  elements: str
ran:
  description: Whether the commands of C(then) were run, or would be.
  returned: always
  type: bool
"""

import grp
import os
import pwd
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.sdss.fliswarm.plugins.module_utils import host, kept, units
from ansible_collections.sdss.fliswarm.plugins.module_utils.kept import File
from ansible_collections.sdss.fliswarm.plugins.module_utils.quiet import QuietModule

SETTLE = 15
"""Seconds for what was started to be as it has to be: it may still open its port."""

UNKNOWN = -1
"""Number of a user or group that does not exist yet."""

BLOCK = re.compile(
    r"^# BEGIN fliswarm\n((?!# (BEGIN|END) fliswarm$).*\n)*# END fliswarm(\n|\Z)",
    re.MULTILINE,
)

STRAY = re.compile(r"^# (BEGIN|END) fliswarm(\n|\Z)", re.MULTILINE)
"""A line of ours that has lost the other: what is between was, or is, of others."""

Folders = Dict[str, Optional[List[int]]]
"""Permissions, user and group of folders by path; None where there is none."""


class ProblemError(Exception):
    """What stands in the way, in words for the user."""


class Wanted(NamedTuple):
    """What is to be there."""

    files: kept.Files
    folders: Folders
    blocks: list[str]
    secrets: list[str]
    names: dict[str, str]
    """Paths as they were given, where that differs."""
    owners: dict[str, str]
    """Users of the folders."""
    homes: dict[str, int]
    """How many parts of a path are in a user's home, where any are."""
    hidden: dict[str, str]
    """Expressions of what is secret in a file."""


NOTHING = Wanted({}, {}, [], [], {}, {}, {}, {})


def numbers(user: str, group: str | None, check: bool) -> tuple[int, int]:
    """Return the numbers of a user and a group; in a dry run they may be missing."""
    try:
        found = pwd.getpwnam(user)
        return found.pw_uid, grp.getgrnam(group).gr_gid if group else found.pw_gid
    except KeyError as error:
        if check:
            return UNKNOWN, UNKNOWN
        raise ProblemError(f"{error.args[0]}. Nothing was changed.") from error


def homed(path: str, check: bool) -> str:
    """Return a path; in a dry run the user in whose home it is may be missing."""
    user, slash, rest = path.partition("/")
    if not user.startswith("~"):
        return path
    try:
        return pwd.getpwnam(user[1:]).pw_dir + slash + rest
    except KeyError as error:
        if check:
            return path
        message = f"{path}: there is no such user. Nothing was changed."
        raise ProblemError(message) from error


def refuse_links(path: str, depth: int) -> None:
    """Refuse a path of which one of the last so many parts is a link.

    Who owns a home could have root write to wherever a link of theirs leads.
    """
    for part in [Path(path), *Path(path).parents][:depth]:
        if part.is_symlink():
            raise ProblemError(f"{part} is a link. Nothing was changed.")


def with_block(text: str, block: str) -> str:
    """Return a text with our part in it, in the place that it has, or without it."""
    lines = block.strip("\n")
    part = f"# BEGIN fliswarm\n{lines}\n# END fliswarm\n" if lines else ""
    place = BLOCK.search(text)
    if place:
        before, after = text[: place.start()], BLOCK.sub("", text[place.end() :])
        return STRAY.sub("", before) + part + STRAY.sub("", after)
    text = STRAY.sub("", text)
    if part and text and not text.endswith("\n"):
        text += "\n"
    return text + part


def look(path: str) -> list[int] | None:
    """Return permissions, user and group of a folder, None when there is none."""
    if not Path(path).is_dir():
        return None
    about = Path(path).stat()
    return [about.st_mode & 0o7777, about.st_uid, about.st_gid]


def wanted_of(params: dict[str, Any], check: bool) -> Wanted:
    """Return what the parameters ask for."""
    files: kept.Files = {}
    for file in params["files"]:
        owner = numbers(file["owner"], file["group"], check)
        files[file["path"]] = File(file["content"], int(file["mode"], 8), *owner)
    for path, text in params["secrets"].items():
        owner = numbers(params["secret_owner"], None, check)
        files[path] = File(text, 0o600, *owner)
    blocks = _blocks(params["blocks"], check)
    folders: Folders = {
        homed(one["path"], check): [
            int(one["mode"], 8),
            *numbers(one["owner"], one["group"], check),
        ]
        for one in params["folders"]
    }
    given = [one["path"] for one in params["blocks"] + params["folders"]]
    return Wanted(
        {**files, **blocks},
        folders,
        list(blocks),
        list(params["secrets"]),
        {homed(path, check): path for path in given},
        {homed(one["path"], check): one["owner"] for one in params["folders"]},
        {homed(p, check): len(Path(p).parts) - 1 for p in given if p.startswith("~")},
        {one["path"]: one["hide"] for one in params["files"] if one["hide"]},
    )


def _blocks(wanted: list[dict[str, Any]], check: bool) -> dict[str, File]:
    """Return the files as they are with the parts that are wanted."""
    files = {}
    for one in wanted:
        path = homed(one["path"], check)
        file = kept.read(path)
        if one["keep"]:
            if file:
                files[path] = file
        elif one["block"].strip():
            if file is None:
                owner = numbers(one["owner"], None, check)
                file = File("", int(one["mode"], 8), *owner)
            text = with_block(file.content, one["block"])
            files[path] = file._replace(content=text)
    return files


class Step:
    """From what is there to what is wanted.

    Parameters
    ----------
    known
        The record of earlier runs.
    wanted
        What is to be there; what else the record knows is given back.
    """

    def __init__(self, known: dict[str, Any], wanted: Wanted) -> None:
        self._wanted = wanted
        self._known = known
        self._found = kept.unpack(known.get("found", {}))
        self._folders: Folders = known.get("folders", {})
        self._blocks: dict[str, bool] = known.get("blocks", {})
        self._homes: dict[str, int] = {**known.get("homes", {}), **wanted.homes}
        for path, depth in self._homes.items():
            refuse_links(path, depth)
        self.files: kept.Files = {**self._found, **self._without_blocks()}
        self.files.update(wanted.files)
        self.folders: Folders = {**self._folders, **wanted.folders}
        self.now = {path: kept.read(path) for path in self.files}
        self.folders_now = {path: look(path) for path in self.folders}
        self.changed = sorted(
            path
            for path, file in self.files.items()
            if file != self.now[path] or self.stray(path)
        )
        self.changed_folders = sorted(
            path
            for path, folder in self.folders.items()
            if folder != self.folders_now[path]
        )
        self.record = self._record()
        """What to remember before anything is written."""

    def stray(self, path: str) -> bool:
        """Tell whether a file of ours is a link, which leads to what is of others."""
        if path not in {*self._found, *self._wanted.files} or path in self._both():
            return False
        if not Path(path).is_symlink():
            return False
        if path in self._found:
            return True
        raise ProblemError(
            f"{path} is a link, and a file of fliswarm is to be there. Remedy: remove"
            " it, or name another place. Nothing was changed."
        )

    def _both(self) -> set[str]:
        """Return the files that others own as well."""
        return {*self._blocks, *self._wanted.blocks}

    def _without_blocks(self) -> kept.Files:
        files: kept.Files = {}
        for path, existed in self._blocks.items():
            file = kept.read(path)
            if file is not None:
                file = file._replace(content=with_block(file.content, ""))
            files[path] = file if existed or (file and file.content) else None
        return files

    def _record(self) -> dict[str, Any]:
        wanted = self._wanted
        blocks = {path: self.now[path] is not None for path in wanted.blocks}
        found = {p: self.now[p] for p in wanted.files if p not in wanted.blocks}
        folders = {path: self.folders_now[path] for path in wanted.folders}
        made = kept.missing_folders([*wanted.files, *wanted.folders])
        secrets = {*self._known.get("secrets", []), *wanted.secrets}
        return {
            **self._known,
            "blocks": {**blocks, **self._blocks},
            "folders": {**folders, **self._folders},
            "found": kept.pack({**found, **self._found}),
            "hidden": {**self._known.get("hidden", {}), **wanted.hidden},
            "homes": self._homes,
            "made": sorted({*self._known.get("made", []), *made}),
            "pending": sorted({*self._known.get("pending", []), *self.changed}),
            "secrets": sorted(secrets),
        }

    def settled(self) -> dict[str, Any]:
        """Return the record to keep when everything is in force."""
        record, wanted = dict(self.record), self._wanted
        here = {*wanted.files, *wanted.folders}
        for key in ("found", "blocks", "folders", "hidden", "homes"):
            record[key] = {p: v for p, v in record[key].items() if p in here}
        record["secrets"] = sorted(wanted.secrets)
        record["pending"] = []
        return record

    def write(self) -> None:
        """Make the folders and the files what they are to be."""
        for path in self.changed_folders:
            _make(path, self.folders[path])
        for path in self.changed:
            kept.write(path, self.files[path], follow=path in self._both())
        gone = [path for path, folder in self.folders.items() if folder is None]
        gone += [p for p in self._known.get("made", []) if p not in self.folders]
        kept.remove_folders(gone)

    def diff(self) -> list[Any]:
        """Return the differences as Ansible shows them."""
        secrets, names = self.record["secrets"], self._wanted.names
        hidden = self.record["hidden"]
        files = [
            kept.show(
                names.get(path, path),
                self.now[path],
                self.files[path],
                secret=path in secrets,
                hide=hidden.get(path),
            )
            for path in self.changed
        ]
        return files + [
            {
                "before_header": f"{names.get(path, path)} (folder)",
                "after_header": f"{names.get(path, path)} (folder)",
                "before": _words(self.folders_now[path]),
                "after": _words(self.folders[path], self._wanted.owners.get(path)),
            }
            for path in self.changed_folders
        ]


def _make(path: str, folder: list[int] | None) -> None:
    if folder is None:
        return
    mode, uid, gid = folder
    Path(path).mkdir(parents=True, exist_ok=True)
    os.chown(path, uid, gid)
    Path(path).chmod(mode)


def _words(folder: list[int] | None, owner: str | None = None) -> str:
    if folder is None:
        return "absent\n"
    mode, uid, _gid = folder
    return f"mode {mode:04o}, user {owner or _user(uid)}\n"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def run(command: list[str], limit: float, changed: list[str]) -> str:
    """Run a command; return why it failed, empty when it succeeded.

    Parameters
    ----------
    command
        Its words.
    limit
        Seconds that it may take.
    changed
        Paths for its environment.
    """
    shown = shlex.join(command)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "CHANGED": "\n".join(changed)},
            timeout=limit,
            check=False,
        )
    except OSError as error:
        return f"{shown}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{shown} took more than {limit:g} s"
    if done.returncode == 0:
        return ""
    said = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace")
    # Of a whole program its first line is enough to know it by.
    shown = shown if len(shown) < 200 else f"{shown.partition(chr(10))[0][:200]}..."
    return f"{shown}: {said[-2000:] or f'exit code {done.returncode}'}"


def validate(params: dict[str, Any], step: Step, check: bool) -> None:
    """Refuse files that their own programs refuse, before any is written."""
    for path in step.changed:
        if Path(path).exists() and not (Path(path).is_file() or step.stray(path)):
            raise ProblemError(f"{path} is no regular file. Nothing was changed.")
    for file in params["files"]:
        words = shlex.split(file["validate"] or "")
        # In a dry run the program may be one that is still to be installed.
        if file["path"] not in step.changed or (check and not _there(words)):
            continue
        problem = _refusal(words, file) if words else ""
        if problem:
            raise ProblemError(f"{file['path']}: {problem}. Nothing was changed.")


def _there(words: list[str]) -> bool:
    return bool(words) and shutil.which(words[0]) is not None


def _refusal(words: list[str], file: dict[str, Any]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, Path(file["path"]).name)
        copy.touch(0o600)
        copy.write_text(file["content"], "utf-8")
        problem = run([word.replace("%s", str(copy)) for word in words], 60, [])
        return problem.replace(str(copy), file["path"])


class Doer:
    """Carries a step out, or says what it would be.

    Parameters
    ----------
    module
        With the parameters.
    """

    def __init__(self, module: QuietModule) -> None:
        self._params = module.params
        self._check = bool(module.check_mode)
        self._record = kept.Record(module.params["name"], module.params["store"])

    def present(self) -> dict[str, Any]:
        """Write what differs, and let it take effect."""
        self._refuse_unproved()
        known = self._record.load()
        step = Step(known, wanted_of(self._params, self._check))
        validate(self._params, step, self._check)
        fresh = {**step.record, "undo": self._params["undo"]}
        needed = bool(self._params["then"])
        needed = needed and bool(fresh["pending"] or self._why_not())
        if not self._check:
            # What undoes the commands is for when they have been run.
            first = {**fresh, "undo": known.get("undo", [])}
            if first != known:
                self._record.save(first)
            step.write()
            if fresh != first:
                self._record.save(fresh)
            if needed:
                self._enforce(fresh["pending"])
            settled = {**step.settled(), "undo": self._params["undo"]}
            if settled != fresh:
                self._record.save(settled)
        return self._result(step, needed)

    def absent(self) -> dict[str, Any]:
        """Give back all that the record knows."""
        known = self._record.load()
        step = Step(known, NOTHING)
        if known and not self._check:
            self._run_all(known.get("undo", []), [])
            # Not twice: its units are gone when the files are.
            self._record.save({**step.record, "undo": []})
            step.write()
            self._run_all(self._params["then"], step.record["pending"])
            self._record.remove()
        return self._result(step, bool(known))

    def _refuse_unproved(self) -> None:
        """Refuse commands of which no later run could tell whether they still hold."""
        params = self._params
        if params["then"] and not params["holds"] and not params["units"]:
            raise ProblemError(
                f"{params['name']}: nothing tells whether what 'then' brings about is"
                " so. Remedy: give holds or units. Nothing was changed."
            )

    def _why_not(self) -> str:
        """Return what is not as the files say, empty when all is."""
        params = self._params
        read = [*(file["path"] for file in params["files"]), *params["secrets"]]
        for unit in params["units"]:
            problem = str(units.why_not(unit["name"], read, unit["port"]))
            if problem:
                return problem
        return run(params["holds"], params["timeout"], []) if params["holds"] else ""

    def _enforce(self, changed: list[str]) -> None:
        """Let it take effect; refuse to call it done when it is not so."""
        self._run_all(self._params["then"], changed)
        problem = self._settled(SETTLE / 3 if changed else SETTLE)
        if problem and changed:
            # More was not so than what these files bring about.
            self._run_all(self._params["then"], [])
            problem = self._settled(SETTLE)
        if problem:
            name = self._params["name"]
            raise ProblemError(f"{name}: all was done, and yet: {problem}")

    def _settled(self, patience: float) -> str:
        """Return what is not as the files say after some seconds, empty for nothing."""
        deadline = time.monotonic() + patience
        while True:
            problem = self._why_not()
            if not problem or time.monotonic() > deadline:
                return problem
            time.sleep(0.3)

    def _run_all(self, commands: list[list[str]], changed: list[str]) -> None:
        for command in commands:
            problem = run(list(map(str, command)), self._params["timeout"], changed)
            if problem:
                raise ProblemError(problem)

    @staticmethod
    def _result(step: Step, ran: bool) -> dict[str, Any]:
        return {
            "changed": bool(step.changed or step.changed_folders or ran),
            "changed_files": step.changed,
            "ran": ran,
            "diff": step.diff(),
        }


def arguments() -> dict[str, Any]:
    """Return the specification of the parameters."""
    owner = {
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str"},
    }
    file = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str", "required": True},
        "mode": {"type": "str", "default": "0644"},
        "validate": {"type": "str"},
        "hide": {"type": "str"},
        **owner,
    }
    folder = {
        "path": {"type": "str", "required": True},
        "mode": {"type": "str", "default": "0755"},
        **owner,
    }
    block = {
        "path": {"type": "str", "required": True},
        "block": {"type": "str", "required": True},
        "keep": {"type": "bool", "default": False},
        "owner": owner["owner"],
        "mode": {"type": "str", "default": "0644"},
    }
    commands = {"type": "list", "elements": "list", "default": []}
    return {
        "name": {"type": "str", "required": True},
        "folders": _many(folder),
        "files": _many(file),
        "blocks": _many(block),
        "secrets": {"type": "dict", "default": {}, "no_log": True},
        "secret_owner": {"type": "str", "default": "root", "no_log": False},
        "then": commands,
        "holds": {"type": "list", "elements": "str", "default": []},
        "units": _many(
            {"name": {"type": "str", "required": True}, "port": {"type": "int"}}
        ),
        "undo": commands,
        "timeout": {"type": "int", "default": 120},
        "state": {
            "type": "str",
            "choices": ["present", "absent"],
            "default": "present",
        },
        "store": {"type": "path", "default": kept.STORE},
    }


def _many(options: dict[str, Any]) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


def main() -> None:
    """Do what the parameters ask for."""
    module = QuietModule(arguments(), supports_check_mode=True)
    os.umask(0o022)
    host.know_root_programs()
    doer = Doer(module)
    act = doer.present if module.params["state"] == "present" else doer.absent
    try:
        with kept.locked():
            result = act()
    except (ProblemError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
