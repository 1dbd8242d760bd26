"""TLS between the controller and Docker Engines, and its failures in words."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fliswarm.model import TlsFiles

OTHER_AUTHORITY = {7, 18, 19, 20, 21}
"""OpenSSL's codes for a chain that does not end at our authority: no issuer of that
name, no issuer of that key, or nobody but itself."""

OTHER_HOST = {62, 64}
"""OpenSSL's codes for a name, or an address, that the certificate has not."""

NOT_YET_VALID = 9
EXPIRED = 10


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was made of `TlsFiles`: how to connect, and when our certificate ends."""

    context: ssl.SSLContext
    ends: datetime | None


class CredentialStore:
    """Reads files when they are new or renewed, and not for each connection.

    To read them takes milliseconds, which hundreds of nodes with the same files would
    take from the event loop one after the other.
    """

    def __init__(self) -> None:
        self._made: dict[TlsFiles, tuple[list[int], Credentials]] = {}

    def get(self, files: TlsFiles) -> Credentials:
        """Return what the files are good for, as they are at this moment.

        Raises
        ------
        OSError
            When they cannot be read, or are of another kind.
        """
        paths = (files.ca, files.cert, files.key)
        times = [path.stat().st_mtime_ns for path in paths]
        known = self._made.get(files)
        if known is None or known[0] != times:
            known = times, Credentials(_context(files), _own_end(files))
            self._made[files] = known
        return known[1]


def _context(files: TlsFiles) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=files.ca)
    # Python 3.13 wants extensions that the certificates of an own authority, made with
    # the commands of Docker's documentation, have not. The file is a site's own choice.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # Without one given, a password would be asked for at a terminal.
    made.load_cert_chain(files.cert, files.key, password="")
    return made


def _own_end(files: TlsFiles) -> datetime | None:
    # Looked at with the first connection, not by each command of the CLI.
    from cryptography import x509

    with suppress(OSError, ValueError):
        own = x509.load_pem_x509_certificate(files.cert.read_bytes())
        return own.not_valid_after_utc
    return None


@dataclass(frozen=True, slots=True)
class Files:
    """How `TlsFiles` are: when ours and the authority's end, or why they do not serve.

    Of several authorities, the one that ends last counts.
    """

    ends: datetime | None = None
    authority_ends: datetime | None = None
    problem: str | None = None


def examine(files: TlsFiles) -> Files:
    """Return how files are at this moment; it reads them."""
    from cryptography import x509

    try:
        _context(files)
        authorities = x509.load_pem_x509_certificates(files.ca.read_bytes())
    except (OSError, ValueError) as error:
        names = ", ".join(map(str, (files.ca, files.cert, files.key)))
        return Files(problem=f"{names}: {error}")
    last = max(authority.not_valid_after_utc for authority in authorities)
    return Files(_own_end(files), last)


def end_of(certificate: bytes) -> datetime | None:
    """Return when a certificate ends that a server has shown, in DER."""
    from cryptography import x509

    with suppress(ValueError):
        return x509.load_der_x509_certificate(certificate).not_valid_after_utc
    return None


def end(shown: Mapping[str, Any] | None, ours: Credentials) -> datetime | None:
    """Return when the first of two certificates ends: the one shown, and our own.

    ``shown`` is as the ssl module decodes it.
    """
    ends = [] if ours.ends is None else [ours.ends]
    if shown and "notAfter" in shown:
        seconds = ssl.cert_time_to_seconds(shown["notAfter"])
        ends.append(datetime.fromtimestamp(seconds, UTC))
    return min(ends, default=None)


def words(error: ssl.SSLError, files: TlsFiles) -> str:
    """Return what an engine did, as the end of a sentence about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"shows {_certificate(error, files)}"
    reason = error.reason or str(error)
    _, alert, said = reason.partition("ALERT_")
    if alert:
        said = said.lower().replace("_", " ")
        return f"refuses our certificate {files.cert}: {said}"
    return f"does not speak TLS as it should: {reason.lower().replace('_', ' ')}"


def _certificate(error: ssl.SSLCertVerificationError, files: TlsFiles) -> str:
    if error.verify_code == EXPIRED:
        return "an expired certificate"
    if error.verify_code == NOT_YET_VALID:
        return "a certificate that is not valid yet: is its clock, or ours, wrong?"
    if error.verify_code in OTHER_AUTHORITY:
        return f"a certificate of another authority than that of {files.ca}"
    if error.verify_code in OTHER_HOST:
        return "a certificate of another host"
    return f"a certificate that is not acceptable: {error.verify_message}"
