"""The files of TLS that the controller shows to engines."""

from __future__ import annotations

from pathlib import Path

from fliswarm.config import table
from fliswarm.config.tree import Section
from fliswarm.model import TlsFiles


def read_files(section: Section) -> TlsFiles:
    """Return the files that the section ``docker-tls`` names."""
    ca, cert, key = (Path(section.get(n, table.PATH)) for n in ("ca", "cert", "key"))
    return TlsFiles(ca, cert, key)


def check_files(section: Section, files: TlsFiles) -> None:
    """Refuse files that cannot be read, or with which no connection can be made.

    Raises
    ------
    ConfigError
        Naming the file.
    """
    # No other command waits for this library.
    import ssl

    ca, cert, key = files.ca, files.cert, files.key
    for name, file in (("ca", ca), ("cert", cert), ("key", key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise section.error(name, f"{file}: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise section.error("ca", f"{ca} holds no certificate in PEM") from error
    try:
        # Without one given, a password would be asked for at a terminal.
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        problem = f"{key} is not the key, free of a password, of {cert}"
        raise section.error("key", problem) from error
