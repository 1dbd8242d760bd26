"""A certificate and its key on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Sequence, TypeVar

from ansible_collections.sdss.fliswarm.plugins.module_utils import authority
from ansible_collections.sdss.fliswarm.plugins.module_utils.authority import Pair

T = TypeVar("T")


class PairFile:
    """``NAME.pem`` and ``NAME.key``, which no rename can put in place together.

    The new key is complete beside the old one before the certificate is
    replaced, and takes its place after it. A run that is killed in between
    leaves a certificate whose key is the one beside.

    Parameters
    ----------
    path
        Without suffix.
    passphrase
        Under which the key is kept, if there is one.
    """

    def __init__(self, path: Path, passphrase: bytes | None = None) -> None:
        self.certificate = Path(f"{path}.pem")
        self.key = Path(f"{path}.key")
        self._passphrase = passphrase

    def read(
        self,
    ) -> tuple[
        authority.x509.Certificate | None, authority.ec.EllipticCurvePrivateKey | None
    ]:
        """Return what is there; ValueError naming the file if it is unreadable."""
        return (
            _read(self.certificate, authority.read_certificate),
            self.read_key(),
        )

    def read_key(self) -> authority.ec.EllipticCurvePrivateKey | None:
        """Return the key, None if there is none; ValueError if it is unreadable."""
        return _read(self.key, self._parse)

    def bundle(self) -> list[authority.x509.Certificate]:
        """Return the certificate, and those of others in its file."""
        return _read(self.certificate, authority.read_certificates) or []

    @property
    def open(self) -> bool:
        """Whether the key is there without a passphrase, and there is to be one."""
        return (
            bool(self._passphrase)
            and self.key.exists()
            and not authority.is_sealed(self.key.read_bytes())
        )

    def remove(self) -> None:
        """Leave nothing of both."""
        for path in (self.certificate, self.key):
            for one in (path, _fresh(path)):
                if one.exists():
                    one.unlink()

    def pair(self) -> Pair | None:
        """Return both, None if one is missing; ValueError if one is unreadable."""
        certificate, key = self.read()
        return None if certificate is None or key is None else Pair(certificate, key)

    def beside(self, certificate: authority.x509.Certificate) -> Pair | None:
        """Return a certificate with the key beside, if it belongs to it."""
        key = _read(_fresh(self.key), self._parse)
        pair = None if key is None else Pair(certificate, key)
        return pair if pair is not None and authority.belongs(pair) else None

    def finish(self) -> None:
        """Put the key beside in its place."""
        _fresh(self.key).replace(self.key)

    def write(
        self,
        pair: Pair,
        others: Sequence[authority.x509.Certificate] = (),
        with_key: bool = True,
    ) -> None:
        """Write both; a key that is there already is not written again.

        Parameters
        ----------
        pair
            What is written.
        others
            Certificates that are trusted beside it.
        with_key
            Whether the key is kept here at all.
        """
        self.certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        same = not with_key or self._has(pair.key)
        if not same:
            key = authority.key_text(pair.key, self._passphrase)
            _write(_fresh(self.key), key, 0o600)
        self.write_bundle([pair.certificate, *others])
        if not same:
            self.finish()

    def write_bundle(self, certificates: Sequence[authority.x509.Certificate]) -> None:
        """Write certificates alone; the first is that of the key."""
        text = b"".join(map(authority.certificate_text, certificates))
        _write(_fresh(self.certificate), text, 0o644)
        _fresh(self.certificate).replace(self.certificate)

    def seal(self, key: authority.ec.EllipticCurvePrivateKey) -> None:
        """Write the key alone, under its passphrase."""
        _write(_fresh(self.key), authority.key_text(key, self._passphrase), 0o600)
        self.finish()

    def _has(self, key: authority.ec.EllipticCurvePrivateKey) -> bool:
        if self.open:
            return False
        try:
            found = self.read_key()
        except ValueError:
            return False
        return found is not None and authority.key_text(found) == authority.key_text(
            key
        )

    def _parse(self, pem: bytes) -> authority.ec.EllipticCurvePrivateKey:
        return authority.read_key(pem, self._passphrase)


def _fresh(path: Path) -> Path:
    """Return where a file is written before it takes its place."""
    return Path(f"{path}.new")


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file down to the disk, readable by nobody else at any time."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(number, "wb") as file:
        os.fchmod(number, mode)
        file.write(content)
        file.flush()
        os.fsync(number)


def _read(path: Path, parse: Callable[[bytes], T]) -> T | None:
    """Return what a file holds, None if there is none."""
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        return None
    except authority.SealedError:
        raise
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
