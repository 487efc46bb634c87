"""Any small shop, whatever its size, length and dirt, keeps its promises."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.core.shop import Dirt, ShopConfig
from pipelines.core.shop.buying import PERIOD
from pipelines.core.shop.tables import LAND
from pipelines.core.shop.world import World

SHARES = st.sampled_from([0.0, 0.01, 0.3])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    members=st.integers(1, 80),
    days=st.integers(1, 120),
    seed=st.integers(0, 2**40),
    opening=st.sampled_from([0.0, 0.5, 1.0]),
    dirt=st.builds(Dirt, SHARES, SHARES, SHARES, SHARES),
)
def test_rows_land_day_by_day_and_dirty_ones_stand_where_they_are_said_to(
    members: int, days: int, seed: int, opening: float, dirt: Dirt
) -> None:
    config = ShopConfig(members=members, days=days, seed=seed, opening_share=opening, dirt=dirt)
    for period in World(config).walk():
        for rows in period.landed.values():
            land = rows[LAND]
            assert (np.diff(land) >= 0).all()
            assert PERIOD * period.number <= land[0]
            assert land[-1] < PERIOD * (period.number + 1)
            assert len({len(values) for values in rows.values()}) == 1
        for dirty in period.dirty:
            rows = period.landed[dirty.table]
            starts = np.searchsorted(rows[LAND], dirty.land)
            assert (rows[LAND][starts + dirty.source_row - 1] == dirty.land).all()
