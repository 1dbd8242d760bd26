"""The folder of the private authorities of a site, and of all that they signed."""

from __future__ import annotations

import fcntl
import json
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, Mapping, NamedTuple, Sequence

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
    import datetime as dt

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


class Keys(NamedTuple):
    """Where the keys of the authorities are, beside the folder itself.

    Attributes
    ----------
    passphrase
        Under which they are kept.
    texts
        Those that are kept elsewhere, by the names of their authorities.
    """

    passphrase: bytes | None = None
    texts: Mapping[str, str] = {}


class Site(NamedTuple):
    """What is known of the hosts, and wanted of the authorities.

    Attributes
    ----------
    carried
        Hosts that were asked, and for each the text of its certificates by their
        files.
    machines
        What tells a computer from another one of the same name, by hosts.
    members
        All hosts that have to follow a rotation.
    rotate
        Whether a rotation is to begin.
    new
        Whether a new authority may be made while hosts carry those of another.
    """

    carried: Mapping[str, Mapping[str, str]] = {}
    machines: Mapping[str, str] = {}
    members: tuple[str, ...] = ()
    rotate: bool = False
    new: bool = False


class Known(NamedTuple):
    """An authority that is there.

    Attributes
    ----------
    certificate
        That which signs.
    others
        Those that are trusted beside it, while it is being rotated.
    key
        Its key; None when it is not at hand.
    problem
        Why it is not.
    halfway
        Whether a run was killed before the key took its place.
    """

    certificate: authority.x509.Certificate
    others: tuple[authority.x509.Certificate, ...]
    key: authority.ec.EllipticCurvePrivateKey | None
    problem: str = ""
    halfway: bool = False


class AuthorityFolder:
    """What is in the folder, and what this run makes of it.

    Parameters
    ----------
    path
        The folder.
    check
        Say what would be made, and write nothing.
    keys
        Where the keys of the authorities are.
    site
        What is known of the hosts.

    Attributes
    ----------
    made
        What was made: paths relative to the folder, and why.
    expires
        The last day of each certificate, by its path.
    fingerprint
        SHA-256 of the authority ``ca.pem``; None when it is not there yet.
    rotation
        ``trust`` while hosts learn to trust the next authority, ``renew`` while they
        get certificates of it, empty when no authority is rotated.
    waits
        Hosts that have not followed yet.
    told
        Authorities that take certificates whose keys may be in journals.
    """

    def __init__(
        self,
        path: Path,
        check: bool,
        keys: Keys | None = None,
        site: Site | None = None,
    ) -> None:
        self.path = path
        self.check = check
        self.keys = keys or Keys()
        self.site = site or Site()
        self.made: list[dict[str, str]] = []
        self.expires: dict[str, str] = {}
        self.fingerprint: str | None = None
        self.rotation = ""
        self.waits: set[str] = set()
        self.told: list[str] = []
        self._begins = False

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

    def ending(self, now: dt.datetime, days: int) -> dict[str, int]:
        """Return the certificates that end within some days, with those they have."""
        found = {}
        for path in sorted(self.path.rglob("*.pem")):
            with suppress(ValueError, OSError):
                certificate = authority.read_certificate(path.read_bytes())
                left = authority.days_left(certificate, now)
                if left < days:
                    found[str(path.relative_to(self.path))] = left
        return found

    def _make(self, leaves: Mapping[str, Wanted], terms: Terms) -> None:
        found = {name: self._found(name) for name in AUTHORITIES}
        self._close([*AUTHORITIES, *leaves])
        self._begins = self._may_begin(found)
        signers = {
            name: self._authority(name, known, terms) for name, known in found.items()
        }
        reasons = {
            name: self._why(name, one, signers[one.signer], terms)
            for name, one in leaves.items()
        }
        for name, (signer, _leaf) in leaves.items():
            if reasons[name]:
                self._signer(signer, signers[signer])
        for name, (signer, leaf) in leaves.items():
            if reasons[name]:
                pair = self._signer(signer, signers[signer])
                self._put(name, authority.new_leaf(leaf, pair, terms), reasons[name])
        self._remember_machines()
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

    # Authorities

    def _found(self, name: str) -> Known | None:
        """Return the authority that is there; refuse one that only half is."""
        file = self._file(name)
        outside = self._outside(name)
        try:
            certificates = file.bundle()
            key = outside or file.read_key()
            problem = f"{file.certificate} is there without {file.key}"
        except authority.SealedError as error:
            key, problem = (
                None,
                f"{file.key}: {error}, which pki_passphrase does not give",
            )
        except ValueError as error:
            raise self._refusal(str(error)) from error
        if not certificates:
            if key is None or outside is not None:
                self._refuse_orphans(name)
                return None
            raise self._refusal(f"{file.key} is there without {file.certificate}")
        certificate, others = certificates[0], tuple(certificates[1:])
        if key is None or not authority.belongs(Pair(certificate, key)):
            try:
                beside = None if outside else file.beside(certificate)
            except ValueError as error:
                raise self._refusal(str(error)) from error
            if beside is not None:
                return Known(certificate, others, beside.key, halfway=True)
            if key is not None:
                whose = "The key that was given" if outside else file.key
                raise self._refusal(f"{whose} is not the key of {file.certificate}")
        return Known(certificate, others, key, problem)

    def _outside(self, name: str) -> authority.ec.EllipticCurvePrivateKey | None:
        """Return the key of an authority that is kept elsewhere."""
        text = self.keys.texts.get(name)
        if not text:
            return None
        try:
            return authority.read_key(text.encode(), self.keys.passphrase)
        except ValueError as error:
            raise RefusedError(
                f"The key of {name}.pem that was given cannot be read: {error}. Remedy:"
                " give the text of a key in PEM, and its passphrase if it has one."
            ) from error

    def _refuse_orphans(self, name: str) -> None:
        """Refuse leaves that have lost their authority."""
        file = self._file(name)
        for pattern in AUTHORITIES[name].signed:
            for leaf in sorted(self.path.glob(pattern)):
                raise self._refusal(
                    f"{leaf} is there without {file.certificate} and {file.key}"
                )
        if self.site.new:
            return
        names = {AUTHORITIES[name].name}
        for host, files in sorted(self.site.carried.items()):
            for path, text in sorted(files.items()):
                if any(authority.is_ours(one, names) for one in _certificates(text)):
                    raise RefusedError(
                        f"{host} trusts an authority in {path}, and {file.certificate}"
                        " is not there. Nothing was changed: a new authority would lock"
                        " every host out. Remedy: bring the folder of the site back, or"
                        " let fliswarm_pki name it, if this is another computer or"
                        " another user. If it is lost, run once for all hosts with"
                        " -e pki_new_authority=true."
                    )

    def _refusal(self, what: str) -> RefusedError:
        """Return why nothing is made: a new authority would lock every host out."""
        return RefusedError(
            f"{what}. Nothing was changed. Remedy: put the missing or broken file back"
            f" from a copy. If there is none, remove {self.path} and run for all hosts"
            " with -e pki_new_authority=true: they get a new authority."
        )

    def _signer(self, name: str, known: Known) -> Pair:
        """Return what signs; refuse when its key is not at hand."""
        if known.key is None:
            raise RefusedError(
                f"{known.problem}, and {name}.pem has to sign. Nothing was signed."
                " Remedy: put the missing or broken file back from a copy, or give its"
                " passphrase (pki_passphrase) or the key itself (pki_key and"
                " pki_pullers_key)."
            )
        return Pair(known.certificate, known.key)

    def _authority(self, name: str, known: Known | None, terms: Terms) -> Known:
        """Return an authority, made, renewed or rotated if it has to be."""
        if known is None:
            key = self._outside(name)
            pair = authority.new_authority(AUTHORITIES[name].name, terms.now, key)
            self._put(name, pair, MISSING)
            return Known(pair.certificate, (), pair.key)
        self._finish(name, known)
        known = self._rotated(name, known, terms)
        reason = authority.why_renew_authority(known.certificate, terms)
        if (
            reason
            and known.key is None
            and authority.days_left(known.certificate, terms.now) > terms.renew_days
        ):
            # Leaves end with it meanwhile, and each run tells what ends.
            reason = ""
        if reason:
            pair = self._signer(name, known)
            pair = authority.renewed_authority(pair, terms.now)
            self._put(name, pair, reason, known.others)
            return known._replace(certificate=pair.certificate)
        self._keep(name, known.certificate)
        trusted = (known.certificate, *known.others)
        if not all(map(authority.kept_secret, trusted)):
            self.told.append(f"{name}.pem")
        return known

    def _finish(self, name: str, known: Known) -> None:
        """Finish an authority of which a run that was killed wrote the certificate."""
        file = self._file(name)
        if known.halfway:
            self._note(f"{name}.key", "the run that made it was killed")
            if not self.check:
                file.finish()
        if file.open and known.key is not None and not self.keys.texts.get(name):
            self._note(f"{name}.key", "it was kept without a passphrase")
            if not self.check:
                file.seal(known.key)

    # Rotation: every host trusts the next authority before it signs, and has its
    # certificates of it before the former one is dropped.

    def _rotated(self, name: str, known: Known, terms: Terms) -> Known:
        """Take the next step of a rotation, if all hosts have followed the last."""
        following = self._file(f"{name}-next")
        fresh = self._next(following)
        if fresh is not None and fresh.certificate == known.certificate:
            fresh = None
        if fresh is None and not self.check:
            following.remove()
        if fresh is not None:
            return self._while_trusting(name, known, fresh)
        if known.others:
            return self._while_renewing(name, known)
        if self._begins:
            fresh = authority.new_authority(AUTHORITIES[name].name, terms.now)
            if not self.check:
                following.write(fresh)
            return self._while_trusting(name, known, fresh)
        return known

    def _next(self, file: PairFile) -> Pair | None:
        try:
            return file.pair()
        except authority.SealedError as error:
            raise RefusedError(
                f"{file.key}: {error}, which pki_passphrase does not give, and its"
                " authority is being rotated. Remedy: give it."
            ) from error
        except ValueError:
            return None

    def _may_begin(self, found: Mapping[str, Known | None]) -> bool:
        """Tell whether to begin; refuse when a key that is asked for is not here."""
        there = {name: known for name, known in found.items() if known is not None}
        if not there or not self.site.rotate:
            return False
        for name, known in there.items():
            if known.key is not None and not self.keys.texts.get(name):
                continue
            raise RefusedError(
                f"The key of {name}.pem is kept elsewhere, and a rotation makes another"
                f" one in {self.path}. Remedy: rotate where the key may be kept, under"
                " pki_passphrase."
            )
        late = self._behind(there)
        self.waits |= late
        return not late

    def _behind(self, there: Mapping[str, Known]) -> set[str]:
        """Return the hosts to which the last rotation has still to come."""
        names = {AUTHORITIES[name].name for name in there}
        keys = [known.certificate.public_key() for known in there.values()]
        return {
            host
            for host, files in self.site.carried.items()
            for text in files.values()
            for one in _certificates(text)
            if authority.is_ours(one, names) and one.public_key() not in keys
        }

    def _while_trusting(self, name: str, known: Known, fresh: Pair) -> Known:
        """Let hosts trust the next authority, or let it sign when all do."""
        if fresh.certificate not in known.others:
            others = (*known.others, fresh.certificate)
            self._put_bundle(
                name, known, others, "the next authority is trusted as well"
            )
            known = known._replace(others=others)
            late = set(self.site.members)
        else:
            late = self._late(lambda files: _lacks(files, known.certificate, fresh))
        self._remember_carried()
        if late:
            self._under_way("trust", late)
            return known
        others = (known.certificate,)
        self._put(name, fresh, "every host trusts it, and it signs from now on", others)
        if not self.check:
            self._file(f"{name}-next").remove()
        self._under_way("renew", set(self.site.members))
        return Known(fresh.certificate, others, fresh.key)

    def _while_renewing(self, name: str, known: Known) -> Known:
        """Drop the former authority when no host shows a certificate of it."""

        def shows(files: Mapping[str, str]) -> bool:
            return any(
                authority.is_signed_by(one, other)
                for text in files.values()
                for one in _certificates(text)[:1]
                for other in known.others
                if one not in known.others
            )

        late = self._late(shows)
        self._remember_carried()
        if late:
            self._under_way("renew", late)
            return known
        reason = "every host has certificates of the new one, and the former is refused"
        self._put_bundle(name, known, (), reason)
        return known._replace(others=())

    def _late(self, lacks: Callable[[Mapping[str, str]], bool]) -> set[str]:
        """Return the members that have not followed, or were not asked."""
        late = set()
        for host in self.site.members:
            files = self.site.carried.get(host)
            if files is None:
                files = self._remembered(host)
            if files is None or lacks(files):
                late.add(host)
        return late

    def _under_way(self, stage: str, late: set[str]) -> None:
        self.rotation = "trust" if "trust" in (stage, self.rotation) else stage
        self.waits |= late

    def _put_bundle(
        self,
        name: str,
        known: Known,
        others: tuple[authority.x509.Certificate, ...],
        reason: str,
    ) -> None:
        """Write the certificates of an authority, whose key stays as it is."""
        self._note(f"{name}.pem", reason)
        if not self.check:
            self._file(name).write_bundle([known.certificate, *others])

    def _record(self, host: str) -> Path:
        return self.path / "hosts" / host / "carried.json"

    def _remembered(self, host: str) -> Mapping[str, str] | None:
        """Return what a host carried when it was asked last."""
        try:
            found = json.loads(self._record(host).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _remember_carried(self) -> None:
        """Note it for the runs that do not ask these hosts."""
        if self.check:
            return
        for host, files in self.site.carried.items():
            self._write_note(self._record(host), json.dumps(files, sort_keys=True))

    def _machine(self, host: str) -> Path:
        return self.path / "hosts" / host / "machine"

    def _moved(self, host: str) -> bool:
        """Tell whether a host is another computer than before."""
        told, path = self.site.machines.get(host), self._machine(host)
        return bool(told) and path.exists() and path.read_text("utf-8").strip() != told

    def _remember_machines(self) -> None:
        if not self.check:
            for host, told in self.site.machines.items():
                if told:
                    self._write_note(self._machine(host), told)

    def _write_note(self, path: Path, text: str) -> None:
        if path.exists() and path.read_text("utf-8") == text:
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = Path(f"{path}.new")
        fresh.write_text(text, "utf-8")
        fresh.replace(path)

    # Leaves

    def _why(self, name: str, one: Wanted, signer: Known, terms: Terms) -> str:
        """Return why a leaf has to be made or renewed, empty if it has not."""
        try:
            pair = self._file(name).pair()
        except ValueError:
            return "it is broken"
        if pair is None:
            return MISSING
        if one.leaf.name != "controller" and self._moved(one.leaf.name):
            return "the host is another computer than before"
        self._keep(name, pair.certificate)
        if (
            signer.key is None
            and authority.days_left(pair.certificate, terms.now) > 0
            and not authority.why_renew(
                one.leaf, pair, signer.certificate, terms._replace(renew_days=0)
            )
        ):
            return ""
        return str(authority.why_renew(one.leaf, pair, signer.certificate, terms))

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

    def _put(
        self,
        name: str,
        pair: Pair,
        reason: str,
        others: Sequence[authority.x509.Certificate] = (),
    ) -> None:
        self._note(f"{name}.pem", reason)
        if not self.check:
            with_key = not self.keys.texts.get(name)
            self._file(name).write(pair, others, with_key)
        self._keep(name, pair.certificate)

    def _keep(self, name: str, certificate: authority.x509.Certificate) -> None:
        self.expires[f"{name}.pem"] = authority.last_day(certificate)

    def _note(self, path: str, reason: str) -> None:
        self.made.append({"path": path, "reason": reason})

    def _file(self, name: str) -> PairFile:
        of_authority = name.partition("-")[0] in AUTHORITIES
        passphrase = self.keys.passphrase if of_authority else None
        return PairFile(self.path / name, passphrase)


def _certificates(text: str) -> list[authority.x509.Certificate]:
    """Return the certificates of a text, none if it has none."""
    try:
        return list(authority.read_certificates(text.encode()))
    except ValueError:
        return []


def _lacks(
    files: Mapping[str, str], old: authority.x509.Certificate, fresh: Pair
) -> bool:
    """Tell whether a file trusts an authority and not the one that follows it."""
    trusted = [_certificates(text) for text in files.values()]
    return any(old in one and fresh.certificate not in one for one in trusted)
