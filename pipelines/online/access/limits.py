"""Rate limits: so many members a second, with room for a burst."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """Lets `rate` members a second through, `burst` at once; a rate of 0 lets all through.

    A request that asks for more than `burst` is let through once the bucket is full and leaves
    it in debt, so a batch is slowed but never locked out.
    """

    __slots__ = ("_clock", "_level", "_since", "burst", "rate")

    def __init__(
        self, rate: float = 0.0, burst: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate = rate
        self.burst = burst or rate
        self._clock = clock
        self._level = self.burst
        self._since = clock()

    def take(self, members: int) -> float:
        """0 if `members` may be read now, else the seconds until they may."""
        if self.rate <= 0:
            return 0.0
        now = self._clock()
        self._level = min(self.burst, self._level + (now - self._since) * self.rate)
        self._since = now
        needed = min(members, self.burst)
        if self._level >= needed:
            self._level -= members
            return 0.0
        return (needed - self._level) / self.rate
