"""Seeded randomness: one stream a purpose, so that adding a table changes no other.

Whatever is drawn is whole numbers, or is rounded to whole days at once, so that the last bit of
a logarithm on another processor changes nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Streams:
    """The generators of one shop: equal (seed, name, place) give equal numbers."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, name: str, *place: int) -> np.random.Generator:
        """The generator of that purpose, at that place (a period, a table)."""
        key = (zlib.crc32(name.encode()), *place)
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self._seed, spawn_key=key))
        )


class Lottery:
    """Draws 0, 1, 2 … in proportion to whole-numbered weights."""

    def __init__(self, *weights: int) -> None:
        self._tickets = np.repeat(np.arange(len(weights), dtype=np.int64), weights)

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """`n` draws."""
        return self._tickets[rng.integers(0, len(self._tickets), n, dtype=np.int32)]


class NamedLottery(Lottery):
    """Draws the positions in `words` of the names it was given weights for."""

    def __init__(self, words: tuple[str, ...], weights: Mapping[str, int]) -> None:
        super().__init__(*weights.values())
        places = np.array([words.index(name) for name in weights], dtype=np.int64)
        self._tickets = places[self._tickets]


def chance(rng: np.random.Generator, n: int, share: float) -> Array:
    """Positions among `n` that fall to `share`, ascending."""
    return np.flatnonzero(rng.random(n, dtype=np.float32) < np.float32(share))


def between(rng: np.random.Generator, low: int, high: int, n: int) -> Array:
    """`n` whole numbers from `low` to `high`, both included."""
    return rng.integers(low, high + 1, n, dtype=np.int64)
