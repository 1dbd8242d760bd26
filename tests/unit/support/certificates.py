"""Certificates for tests: authorities, and what they sign."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fliswarm.model import TlsFiles

DAY = dt.timedelta(days=1)


class Authority:
    """An authority of its own; two of the same name are not the same."""

    def __init__(
        self,
        name: str = "site",
        key: ec.EllipticCurvePrivateKey | None = None,
        lasts: dt.timedelta = DAY,
    ) -> None:
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = name
        self._name = _name(name)
        self._own = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        usage = x509.KeyUsage(
            key_cert_sign=True,
            crl_sign=True,
            **dict.fromkeys(
                (
                    "digital_signature",
                    "content_commitment",
                    "key_encipherment",
                    "data_encipherment",
                    "key_agreement",
                    "encipher_only",
                    "decipher_only",
                ),
                False,
            ),
        )
        self.certificate = (
            _builder(self._name, self._name, self._key, lasts)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(self._own, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    @classmethod
    def load(cls, cert: Path, key: Path) -> Authority:
        """Return the authority whose files these are."""
        found = x509.load_pem_x509_certificate(cert.read_bytes())
        (name,) = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        own = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(own, ec.EllipticCurvePrivateKey)
        return cls(str(name.value), own)

    def write(self, file: Path) -> Path:
        """Write the authority's own certificate."""
        file.write_bytes(_pem(self.certificate))
        return file

    def issue(
        self,
        cert: Path,
        key: Path,
        *hosts: str,
        age: dt.timedelta = dt.timedelta(0),
        lasts: dt.timedelta = DAY,
        password: bytes | None = None,
    ) -> None:
        """Sign a certificate: of a server for these hosts, of a client for none.

        It is good for a day, or as it ``lasts``, from ``age`` and an hour ago on.
        """
        own = ec.generate_private_key(ec.SECP256R1())
        name = hosts[0] if hosts else "controller"
        usage = (
            ExtendedKeyUsageOID.SERVER_AUTH
            if hosts
            else ExtendedKeyUsageOID.CLIENT_AUTH
        )
        identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier
        builder = (
            _builder(_name(name), self._name, own, lasts, age)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(identifier(self._own), critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        cert.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))
        key.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(password)
                if password
                else serialization.NoEncryption(),
            )
        )


def client(
    folder: Path,
    authority: Authority,
    servers: Authority | None = None,
    *,
    age: dt.timedelta = dt.timedelta(0),
    lasts: dt.timedelta = DAY,
) -> TlsFiles:
    """Return a client's files, which trusts ``servers`` or its own authority."""
    folder.mkdir(exist_ok=True)
    files = TlsFiles(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    (servers or authority).write(files.ca)
    authority.issue(files.cert, files.key, age=age, lasts=lasts)
    return files


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    lasts: dt.timedelta,
    age: dt.timedelta = dt.timedelta(0),
) -> x509.CertificateBuilder:
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1) - age
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + lasts)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
