"""Purchase histories for tests of the churn model: literal ones, and one drawn with known truth."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from pipelines.core.churn.history import Floats, History, from_rows

START = 19_000


def history_of(customers: dict[str, list[int]], net: float = 1000.0) -> History:
    """A history from each customer's purchase days, numbers after `START`; equal net everywhere."""
    rows = sorted((name, START + day) for name, days in customers.items() for day in days)
    ids = pa.array([name for name, _ in rows], pa.string())
    days = np.array([day for _, day in rows], np.int32)
    return from_rows(ids, days, np.full(len(rows), net))


def drawn(customers: int = 3000, days: int = 500, seed: int = 1) -> History:
    """Customers of gamma rates and lives; a third never come back. Those who spend more stay."""
    random = np.random.default_rng(seed)
    joined = random.integers(0, days - 10, customers)
    rate = random.gamma(1.0, 1 / 30, customers)
    money = random.normal(0, 0.5, customers)
    life = random.exponential(250 * np.exp(money), customers)
    life[random.random(customers) < 0.35] = 0.0
    stay = np.minimum(life, days - joined)
    count = random.poisson(rate * stay)
    owner = np.repeat(np.arange(customers), count)
    later = joined[owner] + (random.random(len(owner)) * stay[owner]).astype(int)
    owner = np.concatenate([np.arange(customers), owner])
    day = np.concatenate([joined, later])
    order = np.lexsort((day, owner))
    owner, day = owner[order], day[order]
    net: Floats = np.exp(8 + money[owner] + random.normal(0, 0.3, len(owner)))
    ids = pa.array([f"c{i:06}" for i in owner], pa.string())
    return from_rows(ids, (START + day).astype(np.int32), net)


def purchase_days(history: History) -> pa.Table:
    """The history as `mart_purchase_days` has it."""
    owner = np.repeat(np.arange(len(history)), np.diff(history.offsets))
    return pa.table(
        {
            "member_id": history.ids.take(pa.array(owner)),
            "purchase_date": pa.array(history.day, pa.int32()).cast(pa.date32()),
            "net_minor": pa.array(np.rint(history.net).astype(np.int64)),
        }
    )


def day_of(number: int) -> date:
    """The date of a day number."""
    return date(1970, 1, 1) + timedelta(days=number)
