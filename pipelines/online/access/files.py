"""Files that only their owner may read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

from pipelines.core.files import atomic


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, mode 0600, in a folder of mode 0700."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic(path) as temporary:  # made by mkstemp, so 0600 from its first byte
        temporary.write_text(text, encoding="utf-8")


def write_private_json(path: Path, value: Any) -> None:
    """`write_private` of `value` as indented JSON."""
    write_private(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock of `path`, so that two commands do not lose each other's change."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        flock(handle, LOCK_EX)
        yield
    finally:
        os.close(handle)
