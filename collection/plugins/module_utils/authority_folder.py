"""The folder of the private authorities of a site, and of all that they signed."""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.sdss.fliswarm.plugins.module_utils import authority
from ansible_collections.sdss.fliswarm.plugins.module_utils.authority import (
    CLIENT,
    SERVER,
    Leaf,
    Pair,
    Terms,
)
from ansible_collections.sdss.fliswarm.plugins.module_utils.pair_file import PairFile

if TYPE_CHECKING:
    from pathlib import Path

HERE = ("localhost", "127.0.0.1", "::1")
OURS = {"lock", "ca.pem", "ca.key"}
MISSING = "it or its key is missing"


class RefusedError(Exception):
    """What a person has to settle, and how."""


class Signer(NamedTuple):
    """An authority: its name, and patterns of where that is which it signed."""

    name: str
    signed: tuple[str, ...]


AUTHORITIES = {
    "ca": Signer("fliswarm authority", ("controller.pem", "hosts/*/server.pem")),
    "pullers": Signer("fliswarm pullers", ("hosts/*/puller.pem",)),
}


class Wanted(NamedTuple):
    """A leaf, and the authority that has to sign it."""

    signer: str
    leaf: Leaf


def wanted(
    hosts: Mapping[str, object], reserved: Mapping[str, object] | None = None
) -> dict[str, Wanted]:
    """Return the leaves that a site has to have, by their files without suffix.

    Parameters
    ----------
    hosts
        Inventory names, and for each the list of the names and addresses by
        which it is reached.
    reserved
        Inventory names, and for each those that no other host may have.
    """
    leaves = {"controller": Wanted("ca", Leaf("controller", CLIENT))}
    reserved = reserved or {}
    known = {host: _names(names) for host, names in reserved.items()}
    for host, names in sorted(hosts.items()):
        own = known.get(host, frozenset()).union(map(authority.normal, HERE))
        others = frozenset().union(*known.values()) - own
        covers = _covers(host, names, reserved.get(host)) - others
        server = Leaf(host, SERVER, covers, others)
        puller = Leaf(host, CLIENT)
        leaves[f"hosts/{host}/server"] = Wanted("ca", server)
        leaves[f"hosts/{host}/puller"] = Wanted("pullers", puller)
    return leaves


def _names(names: object) -> frozenset[str]:
    """Return what can be in a certificate of what the inventory calls a host.

    It may call any device of its network as it likes.
    """
    found = set()
    for name in names if isinstance(names, list) else ():
        with suppress(ValueError):
            found.add(authority.normal(str(name)))
    return frozenset(found)


def _covers(host: str, names: object, reserved: object = None) -> frozenset[str]:
    """Return what the certificate of a host has to cover."""
    if "/" in host or host in ("", ".", ".."):
        raise RefusedError(
            f"hosts: {host!r} cannot name a folder. Remedy: give the host another"
            " name in the inventory."
        )
    if not isinstance(names, list):
        raise RefusedError(f"hosts: {host}: {names!r} is no list. Remedy: write one.")
    calls = reserved if isinstance(reserved, list) else []
    strict = [name for name in names if name not in calls]
    try:
        return (
            _names(calls)
            .intersection(_names(names))
            .union(authority.normal(str(name)) for name in [*strict, *HERE])
        )
    except ValueError as error:
        raise RefusedError(f"hosts: {host}: {error}. Remedy: correct it.") from error


def refuse_terms(terms: Terms) -> None:
    """Refuse lives of which some certificate would be renewed in every run."""
    longest = authority.AUTHORITY_DAYS // 2
    if not 0 < terms.renew_days < terms.days <= longest:
        raise RefusedError(
            f"days is {terms.days} and renew_days is {terms.renew_days}. Remedy: days"
            f" at most {longest}, renew_days less than that and more than 0."
        )


@contextmanager
def locked(folder: Path, patience: float) -> Iterator[None]:
    """Keep other runs out of a folder, as long as this one lives.

    Parameters
    ----------
    folder
        An existing folder.
    patience
        Seconds in which another run may end.
    """
    path = folder / "lock"
    limit = time.monotonic() + patience
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > limit:
                    raise RefusedError(
                        f"{path}: another run has held this lock for {patience:g} s."
                        " Remedy: wait until it has ended, or end it."
                    ) from None
            time.sleep(0.05)
        yield


class AuthorityFolder:
    """What is in the folder, and what this run makes of it.

    Parameters
    ----------
    path
        The folder.
    check
        Say what would be made, and write nothing.

    Attributes
    ----------
    made
        What was made: paths relative to the folder, and why.
    expires
        The last day of each certificate, by its path.
    fingerprint
        SHA-256 of the authority ``ca.pem``; None when it is not there yet.
    """

    def __init__(self, path: Path, check: bool) -> None:
        self.path = path
        self.check = check
        self.made: list[dict[str, str]] = []
        self.expires: dict[str, str] = {}
        self.fingerprint: str | None = None

    def make(
        self, leaves: Mapping[str, Wanted], terms: Terms, patience: float = 30
    ) -> None:
        """Make and renew what has to be.

        Parameters
        ----------
        leaves
            All leaves of this run; those of other hosts stay as they are.
        terms
            How long certificates live.
        patience
            Seconds in which another run may end.
        """
        refuse_terms(terms)
        self._refuse_foreign()
        if self.check:
            self._make(leaves, terms)
            return
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.path, patience):
            self._make(leaves, terms)

    def _make(self, leaves: Mapping[str, Wanted], terms: Terms) -> None:
        found = {name: self._found(name) for name in AUTHORITIES}
        self._close([*AUTHORITIES, *leaves])
        signers = {
            name: self._authority(name, pair, terms) for name, pair in found.items()
        }
        for name, (signer, leaf) in leaves.items():
            self._leaf(name, leaf, signers[signer], terms)
        if found["ca"] is not None or not self.check:
            self.fingerprint = authority.fingerprint(signers["ca"].certificate)

    def _refuse_foreign(self) -> None:
        """Refuse a folder for other things, which others may have to read."""
        names = {path.name for path in self.path.glob("*")}
        if names and not names & OURS:
            raise RefusedError(
                f"{self.path} holds other things, such as {min(names)}. Remedy: name a"
                " folder that is empty or not there yet."
            )

    def _found(self, name: str) -> Pair | None:
        """Return the authority that is there; refuse one that only half is."""
        file = self._file(name)
        try:
            certificate, key = file.read()
        except ValueError as error:
            raise self._refusal(str(error)) from error
        if certificate is None and key is None:
            self._refuse_orphans(name)
            return None
        if certificate is None:
            raise self._refusal(f"{file.key} is there without {file.certificate}")
        if key is None:
            pair = file.beside(certificate)
            if pair is None:
                raise self._refusal(f"{file.certificate} is there without {file.key}")
            return pair
        if not authority.belongs(Pair(certificate, key)):
            raise self._refusal(f"{file.key} is not the key of {file.certificate}")
        return Pair(certificate, key)

    def _refuse_orphans(self, name: str) -> None:
        """Refuse leaves that have lost their authority."""
        for pattern in AUTHORITIES[name].signed:
            for leaf in sorted(self.path.glob(pattern)):
                file = self._file(name)
                raise self._refusal(
                    f"{leaf} is there without {file.certificate} and {file.key}"
                )

    def _refusal(self, what: str) -> RefusedError:
        """Return why nothing is made: a new authority would lock every host out."""
        return RefusedError(
            f"{what}. Nothing was changed. Remedy: put the missing or broken file back"
            f" from a copy. If there is none, remove {self.path} and run for all hosts:"
            " they get a new authority."
        )

    def _authority(self, name: str, found: Pair | None, terms: Terms) -> Pair:
        """Return an authority, made or renewed if it has to be."""
        if found is None:
            pair = authority.new_authority(AUTHORITIES[name].name, terms.now)
            return self._put(name, pair, MISSING)
        self._finish(name)
        reason = authority.why_renew_authority(found, terms)
        if reason:
            return self._put(
                name, authority.renewed_authority(found, terms.now), reason
            )
        return self._keep(name, found)

    def _finish(self, name: str) -> None:
        """Finish an authority of which a run that was killed wrote the certificate."""
        file = self._file(name)
        if not file.key.exists():
            self._note(f"{name}.key", "the run that made it was killed")
            if not self.check:
                file.finish()

    def _leaf(self, name: str, leaf: Leaf, signer: Pair, terms: Terms) -> None:
        """Make or renew a leaf, if it has to be."""
        try:
            pair = self._file(name).pair()
        except ValueError:
            pair, reason = None, "it is broken"
        else:
            reason = authority.why_renew(leaf, pair, signer, terms) if pair else MISSING
        if pair is None or reason:
            self._put(name, authority.new_leaf(leaf, signer, terms), reason)
        else:
            self._keep(name, pair)

    def _close(self, names: Sequence[str]) -> None:
        """Take away what others may do in the folders and with the keys."""
        keys = [self._file(name).key for name in names]
        for path in sorted({*keys, *(key.parent for key in keys)}):
            mode = path.stat().st_mode & 0o777 if path.exists() else 0
            owners = mode & (0o700 if path.is_dir() else 0o600)
            if mode != owners:
                self._note(str(path.relative_to(self.path)), f"its mode was {mode:04o}")
                if not self.check:
                    path.chmod(owners)

    def _put(self, name: str, pair: Pair, reason: str) -> Pair:
        self._note(f"{name}.pem", reason)
        if not self.check:
            self._file(name).write(pair)
        return self._keep(name, pair)

    def _keep(self, name: str, pair: Pair) -> Pair:
        self.expires[f"{name}.pem"] = authority.last_day(pair.certificate)
        return pair

    def _note(self, path: str, reason: str) -> None:
        self.made.append({"path": path, "reason": reason})

    def _file(self, name: str) -> PairFile:
        return PairFile(self.path / name)
