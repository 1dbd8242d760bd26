"""A private authority: what it signs, and why a certificate has to be renewed."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import traceback
from typing import Iterable, NamedTuple

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:
    IMPORT_ERROR: str | None = traceback.format_exc()
else:
    current = hasattr(x509.Certificate, "not_valid_after_utc")
    IMPORT_ERROR = None if current else "cryptography is older than version 42"

SERVER = "1.3.6.1.5.5.7.3.1"
CLIENT = "1.3.6.1.5.5.7.3.2"
PURPOSES = {SERVER: "a server", CLIENT: "a client"}

AUTHORITY_DAYS = 3650

# The clock of a host may be late until it has the time from the network.
LATE = dt.timedelta(days=1)

KEPT = "keys of version 2"
"""Unit that certificates name whose keys no module has ever told.

Up to version 1 the journals of the hosts had the keys, in the line about what each
module was invoked with.
"""

NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


class Pair(NamedTuple):
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Leaf(NamedTuple):
    """What the certificate of a server or of a client has to say.

    Attributes
    ----------
    name
        Whom it names, for people.
    purpose
        `SERVER` or `CLIENT`.
    covers
        Names and addresses by which clients reach the server, in `normal` form.
    others
        Those that are of others, and it must not cover.
    """

    name: str
    purpose: str
    covers: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


class Terms(NamedTuple):
    """How long certificates live.

    Attributes
    ----------
    days
        Life of a new leaf.
    renew_days
        A leaf with fewer days left is renewed.
    now
        The time, with its zone.
    """

    days: int
    renew_days: int
    now: dt.datetime


class SealedError(ValueError):
    """A key is kept under a passphrase that was not given."""


def normal(name: str) -> str:
    """Return a host's name or an address in the one form in which they compare."""
    try:
        return str(ipaddress.ip_address(name.strip("[]").partition("%")[0]))
    except ValueError:
        pass
    text = name.lower().rstrip(".")
    if len(text) > 253 or not NAME.fullmatch(text):
        raise ValueError(f"{name!r} is neither the name of a host nor an address")
    return text


def new_authority(
    name: str, now: dt.datetime, key: ec.EllipticCurvePrivateKey | None = None
) -> Pair:
    """Return a new authority, whose name ends in a part of its key's fingerprint."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    digest = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest
    return _self_signed(key, _subject(f"{name} {digest.hex()[:8]}", KEPT), now)


def renewed_authority(old: Pair, now: dt.datetime) -> Pair:
    """Return it with a later end; what it signed stays valid, by its key and name."""
    return _self_signed(old.key, old.certificate.subject, now)


def new_leaf(leaf: Leaf, authority: Pair, terms: Terms) -> Pair:
    """Return a new key and its certificate, which ends before the authority does."""
    issuer, signer = authority
    key = ec.generate_private_key(ec.SECP256R1())
    until = min(terms.now + dt.timedelta(days=terms.days), issuer.not_valid_after_utc)
    builder = _extended(
        _builder(key, terms.now, until)
        .subject_name(_subject(leaf.name, KEPT))
        .issuer_name(issuer.subject),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage("digital_signature"), True),
        (x509.ExtendedKeyUsage([x509.ObjectIdentifier(leaf.purpose)]), False),
        (
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            False,
        ),
    )
    if leaf.covers:
        names = [_general_name(name) for name in sorted(leaf.covers)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    return Pair(builder.sign(signer, hashes.SHA256()), key)


def why_renew_authority(certificate: x509.Certificate, terms: Terms) -> str:
    """Return why an authority has to be renewed, empty if it has not.

    It has to outlive the leaves that it signs in this run.
    """
    return _why_not_in_time(certificate, terms.now, terms.days)


def why_renew(
    leaf: Leaf, found: Pair, authority: x509.Certificate, terms: Terms
) -> str:
    """Return why a certificate has to be renewed, empty if it has not.

    Parameters
    ----------
    leaf
        What it has to say.
    found
        The certificate and the key that are there.
    authority
        Who has to have signed it.
    terms
        How long certificates live.
    """
    certificate = found.certificate
    if not belongs(found):
        return "it does not belong to its key"
    if not is_signed_by(certificate, authority):
        return "another authority signed it"
    if _purposes(certificate) != {leaf.purpose}:
        return f"it is not the certificate of {PURPOSES[leaf.purpose]} alone"
    if not kept_secret(certificate):
        return "its key may be in the journal of its host"
    missing = leaf.covers - covered(certificate)
    if missing:
        return f"it does not cover {', '.join(sorted(missing))}"
    foreign = leaf.others & covered(certificate)
    if foreign:
        return f"it covers {', '.join(sorted(foreign))} of another host"
    return _why_not_in_time(certificate, terms.now, terms.renew_days)


def belongs(pair: Pair) -> bool:
    """Tell whether a certificate is that of the key beside it."""
    return pair.certificate.public_key() == pair.key.public_key()


def is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Tell whether an authority signed a certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def covered(certificate: x509.Certificate) -> frozenset[str]:
    """Return the names and addresses that a certificate covers, in `normal` form."""
    try:
        found = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return frozenset()
    names = found.value.get_values_for_type(x509.DNSName)
    addresses = found.value.get_values_for_type(x509.IPAddress)
    return frozenset(map(str.lower, names)) | frozenset(map(str, addresses))


def kept_secret(certificate: x509.Certificate) -> bool:
    """Tell whether the key of a certificate has never been in a journal."""
    units = certificate.subject.get_attributes_for_oid(
        x509.NameOID.ORGANIZATIONAL_UNIT_NAME
    )
    return any(unit.value == KEPT for unit in units)


def days_left(certificate: x509.Certificate, now: dt.datetime) -> int:
    """Return how many whole days a certificate is still valid."""
    return (certificate.not_valid_after_utc - now).days


def is_ours(certificate: x509.Certificate, names: Iterable[str]) -> bool:
    """Tell whether it is an authority of one of these names."""
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return bool(common) and str(common[0].value).rpartition(" ")[0] in names


def last_day(certificate: x509.Certificate) -> str:
    """Return the day on which a certificate expires, in ISO form."""
    return certificate.not_valid_after_utc.date().isoformat()


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 fingerprint of a certificate."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def read_certificate(pem: bytes) -> x509.Certificate:
    """Return a certificate from its text; ValueError if it is none."""
    return x509.load_pem_x509_certificate(pem)


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """Return all certificates of a text; ValueError if there is none."""
    return x509.load_pem_x509_certificates(pem)


def is_sealed(pem: bytes) -> bool:
    """Tell whether the text of a key needs a passphrase."""
    return b"ENCRYPTED" in pem


def read_key(pem: bytes, passphrase: bytes | None = None) -> ec.EllipticCurvePrivateKey:
    """Return a private key from its text; ValueError if it is none of ours."""
    if not is_sealed(pem):
        passphrase = None
    elif passphrase is None:
        raise SealedError("it is kept under a passphrase")
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    except ValueError as error:
        if passphrase is None:
            raise
        raise ValueError("the passphrase is not that of this key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("it is not a key of an elliptic curve")  # noqa: TRY004  text
    return key


def certificate_text(certificate: x509.Certificate) -> bytes:
    """Return the text of a certificate."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_text(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    """Return the text of a private key, under a passphrase if there is one."""
    how = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how
    )


def _self_signed(
    key: ec.EllipticCurvePrivateKey, name: x509.Name, now: dt.datetime
) -> Pair:
    builder = _builder(key, now, now + dt.timedelta(days=AUTHORITY_DAYS))
    builder = _extended(
        builder.subject_name(name).issuer_name(name),
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_usage("key_cert_sign", "crl_sign"), True),
    )
    return Pair(builder.sign(key, hashes.SHA256()), key)


def _builder(
    key: ec.EllipticCurvePrivateKey, now: dt.datetime, until: dt.datetime
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LATE)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    )


def _extended(
    builder: x509.CertificateBuilder, *extensions: tuple[x509.ExtensionType, bool]
) -> x509.CertificateBuilder:
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder


def _subject(name: str, unit: str = "") -> x509.Name:
    # 64 characters is the longest common name of X.509.
    names = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])]
    if unit:
        names.insert(0, x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name(names)


def _usage(*of: str) -> x509.KeyUsage:
    uses = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{use: use in of for use in uses})


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _purposes(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return set()
    return {purpose.dotted_string for purpose in found.value}


def _why_not_in_time(certificate: x509.Certificate, now: dt.datetime, days: int) -> str:
    if certificate.not_valid_before_utc > now:
        return f"it is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    if certificate.not_valid_after_utc <= now + dt.timedelta(days=days):
        return f"it expires on {last_day(certificate)}"
    return ""
