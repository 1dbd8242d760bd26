"""A certificate and its key on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, TypeVar

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
    """

    def __init__(self, path: Path) -> None:
        self.certificate = Path(f"{path}.pem")
        self.key = Path(f"{path}.key")

    def read(
        self,
    ) -> tuple[
        authority.x509.Certificate | None, authority.ec.EllipticCurvePrivateKey | None
    ]:
        """Return what is there; ValueError naming the file if it is unreadable."""
        return (
            _read(self.certificate, authority.read_certificate),
            _read(self.key, authority.read_key),
        )

    def pair(self) -> Pair | None:
        """Return both, None if one is missing; ValueError if one is unreadable."""
        certificate, key = self.read()
        return None if certificate is None or key is None else Pair(certificate, key)

    def beside(self, certificate: authority.x509.Certificate) -> Pair | None:
        """Return a certificate with the key beside, if it belongs to it."""
        key = _read(_fresh(self.key), authority.read_key)
        pair = None if key is None else Pair(certificate, key)
        return pair if pair is not None and authority.belongs(pair) else None

    def finish(self) -> None:
        """Put the key beside in its place."""
        _fresh(self.key).replace(self.key)

    def write(self, pair: Pair) -> None:
        """Write both; a key that is there already is not written again."""
        self.certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = authority.certificate_text(pair.certificate)
        key = authority.key_text(pair.key)
        same = self.key.exists() and self.key.read_bytes() == key
        if not same:
            _write(_fresh(self.key), key, 0o600)
        _write(_fresh(self.certificate), text, 0o644)
        _fresh(self.certificate).replace(self.certificate)
        if not same:
            self.finish()


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
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
