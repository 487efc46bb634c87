"""Members who asked to be erased: from the moment they are listed, nothing of theirs is served.

`<brand>/access/erased.txt` holds one line a member: the SHA-256 of its id, so that the list itself
names nobody. Whatever the stores still hold, the gateway answers `erased`. Their rows leave the
training sets that are kept beside the models.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from pipelines.core.errors import UsageError
from pipelines.core.home import Brand
from pipelines.online.access.files import alone, write_private
from pipelines.online.training_sets import forget, sweep


def erasures_path(brand: Brand) -> Path:
    """Where a brand's list is kept."""
    return brand.root / "access" / "erased.txt"


class Erasures:
    """The members of one list."""

    def __init__(self, digests: Iterable[str] = ()) -> None:
        self._digests = frozenset(digests)

    @classmethod
    def load(cls, path: Path, former: Erasures | None = None) -> Erasures:
        """The list in the file, empty if there is none and never was one.

        Raises:
            UsageError: the file holds something else, or a list that was there is gone.
        """
        if not path.exists():
            if former:
                message = f"the list of erased members {path.name} is gone"
                raise UsageError(message, "put it back; the members it named stay erased")
            return cls()
        return cls(_read(path))

    def __contains__(self, member_id: str) -> bool:
        return bool(self._digests) and digest(member_id) in self._digests

    def among(self, member_ids: Iterable[str]) -> list[str]:
        """Those of the members who are on the list."""
        return [member_id for member_id in member_ids if member_id in self]

    def __len__(self) -> int:
        return len(self._digests)


def erase_online(brand: Brand, member_ids: Iterable[str]) -> int:
    """List members as erased; how many were not listed before. Gateways follow within seconds.

    Then their rows are dropped from the kept training sets. Called again, it does what a call that
    was broken off left undone.
    """
    path = erasures_path(brand)
    with alone(path):
        known = _read(path) if path.exists() else []
        new = sorted({digest(member_id) for member_id in member_ids} - set(known))
        if new:
            write_private(path, "".join(f"{line}\n" for line in [*known, *new]))
    forget_erased(brand)
    return len(new)


def forget_erased(brand: Brand) -> int:
    """Drop the rows of all listed members from the kept training sets; how many rows."""
    path = erasures_path(brand)
    with alone(path):  # two that rewrite a set at once could each restore whom the other dropped
        return forget(brand.training_sets, Erasures.load(path).among)


def sweep_training_sets(brand: Brand) -> None:
    """Delete what retrainings that were killed left half written; none may be writing now."""
    with alone(erasures_path(brand)):  # nor an erasure
        sweep(brand.training_sets)


def _read(path: Path) -> list[str]:
    lines = path.read_bytes().decode("ascii", "replace").split()
    for number, line in enumerate(lines, start=1):
        if not re.fullmatch("[0-9a-f]{64}", line):
            message = f"line {number} of {path.name} is not the SHA-256 of a member id"
            raise UsageError(message, "take it out; `erase_online` writes lines that are")
    return lines


def digest(member_id: str) -> str:
    """The line that stands for a member."""
    return hashlib.sha256(member_id.encode()).hexdigest()
