"""Where an engine listens, and what it did instead of answering, in words."""

from __future__ import annotations

import ssl
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from fliswarm.engine import sdk, tls
from fliswarm.engine.knock import port
from fliswarm.model import TlsFiles


def address(engine: str, context: ssl.SSLContext | None) -> sdk.Address:
    """Return where an engine listens that is not reached through ssh."""
    found = urlsplit(engine)
    if found.hostname is None:
        return sdk.Address(Path(found.path))
    return sdk.Address(None, found.hostname, port(found), context)


def deed(error: BaseException, files: TlsFiles | None, ssh: str | None) -> str:
    """Return the end of a sentence about an engine: the first cause, no more.

    Parameters
    ----------
    error
        What was met.
    files
        Ours, where it speaks TLS.
    ssh
        What ssh said last, where it is reached through that.
    """
    error = sdk.first_cause(error)
    if isinstance(error, ssl.SSLError) and files is not None:
        return tls.words(error, files)
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, ConnectionError) and ssh is not None:
        return (
            f"cannot be reached through ssh ({ssh}); "
            "does it run, and is the user in the group docker?"
        )
    known = isinstance(error, OSError | HTTPException)
    said = str(error) if known else "what it says is no Docker Engine's"
    return f"does not answer as it should: {said}"
