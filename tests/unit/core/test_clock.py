"""Days that are over, and what can be known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.core.clock import FrozenClock, check_past
from pipelines.core.errors import UsageError

NOW = datetime(2025, 7, 1, 16, tzinfo=UTC)
CLOCK = FrozenClock(NOW)
TICK = timedelta(microseconds=1)


def test_a_day_that_ends_now_is_over_and_now_can_be_known() -> None:
    check_past(NOW, NOW, CLOCK)
    check_past(NOW, clock=CLOCK)


@pytest.mark.parametrize(
    ("as_of", "known_at", "words"),
    [(NOW + TICK, NOW, "not over: it ends at 2025-07-01"), (NOW, NOW + TICK, "nothing can be")],
    ids=["day", "knowledge"],
)
def test_the_future_is_refused(as_of: datetime, known_at: datetime, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_past(as_of, known_at, CLOCK)
