"""The two logs: requests without any member data to stderr, and who read what to a file.

Lines are JSON. They are gathered and written a few times a second, so that logging costs a
request next to nothing; a line is late by at most `FLUSH_S`, and none is lost on an orderly stop.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger(__name__)

FLUSH_S = 0.2
FLUSH_LINES = 2000
KEPT_LINES = 100_000  # some 30 MB, while a disk is full or files cannot be opened


class Journal:
    """Lines on their way to a file of the day, or to stderr where there is no folder."""

    def __init__(self, fields: tuple[str, ...], folder: Path | None) -> None:
        self._fields = fields
        self._folder = folder
        self._lines: list[tuple[Any, ...]] = []

    def add(self, line: tuple[Any, ...]) -> None:
        """Take the values of one line; it is written by the next `flush`."""
        self._lines.append(line)
        if len(self._lines) % FLUSH_LINES == 0:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered; what cannot be written now waits for the next time."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        data = b"".join(
            orjson.dumps(
                dict(zip(self._fields, line, strict=True)),
                option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE,
            )
            for line in lines
        )
        try:
            self._write(data)
        except OSError as error:
            kept = lines[:KEPT_LINES]
            self._lines[:0] = kept
            lost = len(lines) - len(kept)
            log.error("%d lines of a log wait, %d are lost: %s", len(kept), lost, error)

    def _write(self, data: bytes) -> None:
        if self._folder is None:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"reads-{datetime.now(UTC):%Y%m%d}.jsonl"
        handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)
