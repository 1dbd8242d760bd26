"""Where the controller's log goes."""

from __future__ import annotations

import logging
from contextlib import suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path


def set_up(file: Path | None, *, terminal: bool) -> None:
    """Begin to log to a file, to the terminal or systemd's journal, or to both.

    A file that cannot be written is told of; a controller without it is better than
    none.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler()] if terminal else []
    problem = ""
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(_LogFile(file, encoding="utf-8"))
        except OSError as error:
            problem = error.strerror or str(error)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=handlers,
    )
    if problem:
        log = logging.getLogger(__name__)
        log.warning("log file %s: %s; nothing is written there", file, problem)


class _LogFile(WatchedFileHandler):
    """A file that may be moved away, as logrotate does, or be lost with its disk."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Take no notice: a disk that is full takes no word about it either."""
