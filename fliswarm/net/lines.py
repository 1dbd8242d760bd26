"""Bytes of a stream to lines, whatever comes: every server and link reads with it."""

from __future__ import annotations


class LineReader:
    """Cuts a stream into lines of a bounded length.

    Parameters
    ----------
    limit
        Bytes of the longest line. A longer one is dropped whole, in bounded memory,
        and the next line is read as if nothing had happened.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""
        self._skipping = False
        self.dropped = False

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that ``data`` completes, as text; see `cut`."""
        return [line.decode("utf-8", "replace") for line in self.cut(data)]

    def cut(self, data: bytes) -> list[bytes]:
        """Return the lines that ``data`` completes, without their ends.

        ``dropped`` tells afterwards whether a line became too long in this call.
        """
        self.dropped = False
        head, newline, rest = data.rpartition(b"\n")
        if not newline:
            self._keep(rest)
            return []
        if self._skipping:
            _, _, whole = head.partition(b"\n")
        else:
            whole = self._rest + head
        self._rest, self._skipping = b"", False
        self._keep(rest)
        lines = [line for line in whole.split(b"\n") if line]
        if len(whole) > self._limit:
            short = [line for line in lines if len(line) <= self._limit]
            self.dropped = self.dropped or len(short) < len(lines)
            lines = short
        return lines

    def _keep(self, rest: bytes) -> None:
        if self._skipping:
            return
        self._rest += rest
        if len(self._rest) > self._limit:
            self._rest, self._skipping, self.dropped = b"", True, True
