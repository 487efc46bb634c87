"""A shop's history as the one extract it hands over on the day it is connected."""

from __future__ import annotations

import gzip
import shutil
from datetime import date
from pathlib import Path


def fold(landing: Path, day: date) -> int:
    """How many landing days up to `day` became that day's: its files now hold all their rows.

    Rows keep the order in which they landed, so that the last version of a row is the last one.
    """
    folders = sorted(f for f in landing.iterdir() if f.is_dir() and f.name <= day.isoformat())
    extract = landing / ".extract.tmp"
    shutil.rmtree(extract, ignore_errors=True)
    extract.mkdir()
    for name in sorted({path.name for folder in folders for path in folder.iterdir()}):
        parts = [path for folder in folders if (path := folder / name).exists()]
        with (extract / name).open("wb") as whole:
            for number, part in enumerate(parts):
                with gzip.open(part) as rows:
                    header = rows.readline()
                    text = rows.read()
                whole.write(_packed(text if number else header + text))
    for folder in folders:
        shutil.rmtree(folder)
    extract.rename(landing / day.isoformat())
    return len(folders)


def _packed(text: bytes) -> bytes:
    """A gzip member without name or time; members one after another are one file."""
    return gzip.compress(text, compresslevel=1, mtime=0)
