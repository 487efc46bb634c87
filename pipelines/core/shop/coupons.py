"""Coupons as members hold them: at most one open coupon of each role counts.

A newer coupon of a role takes the place of the older one, which then expires unused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.shop.brand import (
    OTHER,
    RETENTION,
    TEMPLATE_DAYS,
    TEMPLATE_ROLE,
    TRAFFIC,
)
from pipelines.core.shop.season import DAY_MS, Season
from pipelines.core.shop.streams import Array
from pipelines.core.shop.tables import NULL, Rows, day_of, rows

ORIGINS = ("won", "claimed", "pushed", "compensation", "pair", "referral", "birthday", "topup")
ROLES = 3
SERIALS = 10**8  # numbers a period can give out

#: Percent of purchases on which an open coupon is used, by [role, response of the member];
#: a retention coupon counts only once its pair was used on an earlier day.
USES = np.array([[85, 70, 25, 8], [70, 55, 18, 5], [75, 60, 30, 15]], np.int16)
USES_UNPAIRED = 8


@dataclass(frozen=True)
class Grant:
    """Coupons given: `day` is the one on which they begin to hold."""

    who: Array
    template: int
    origin: int
    issued_at: Array
    begins_at: Array
    experiment: int = NULL


class Wallet:
    """The open coupon of each member and role, and every coupon issued in the present period."""

    def __init__(self, n: int, season: Season) -> None:
        self._season = season
        self._period = self._serial = 0
        self._issued: list[Rows] = []
        self.issue = np.full((ROLES, n), NULL, np.int64)
        self.template = np.zeros((ROLES, n), np.int8)
        self.begins = np.zeros((ROLES, n), np.int32)
        self.ends = np.full((ROLES, n), -1, np.int32)  # the last day it holds
        self.traffic_used = np.full(n, -1, np.int32)  # the day the pair's other half was used

    def start(self, period: int) -> None:
        """Number what follows as issues of that period."""
        self._period, self._serial = period, 0

    def issued(self) -> list[Rows]:
        """The coupons issued since the last call."""
        done, self._issued = self._issued, []
        return done

    def give(self, grant: Grant) -> None:
        """Issue one coupon to each of the members."""
        self._give(grant, NULL)

    def give_pair(self, grant: Grant) -> None:
        """Issue a traffic coupon and, with it, the retention coupon of its pair."""
        first = self._next_serial()
        self._give(grant, first)
        second = Grant(
            grant.who,
            grant.template + 1,
            ORIGINS.index("pair"),
            grant.issued_at,
            grant.begins_at,
            grant.experiment,
        )
        self._give(second, first)
        self.traffic_used[grant.who] = -1

    def _next_serial(self) -> int:
        return self._period * SERIALS + self._serial

    def _give(self, grant: Grant, first_of_pair: int) -> None:
        n, role = len(grant.who), int(TEMPLATE_ROLE[grant.template])
        number = self._next_serial() + np.arange(n)
        self._serial += n
        begins = day_of(grant.begins_at, self._season.epoch_day)
        ends = begins + TEMPLATE_DAYS[grant.template] - 1
        self.issue[role, grant.who] = number
        self.template[role, grant.who] = grant.template
        self.begins[role, grant.who] = begins
        self.ends[role, grant.who] = ends
        self._issued.append(
            rows(
                n,
                day_of(grant.issued_at, self._season.epoch_day),
                issue_id=number,
                template_id=grant.template,
                member_id=grant.who + 1,
                issued_at=grant.issued_at,
                origin=grant.origin,
                valid_from=grant.begins_at,
                expires_at=self._season.midnight(ends) + DAY_MS,
                pair_id=first_of_pair + np.arange(n) if first_of_pair != NULL else NULL,
                experiment_id=grant.experiment,
                arm=0 if grant.experiment != NULL else NULL,
            )
        )

    def use(self, who: Array, day: Array, response: Array, tickets: Array) -> Array:
        """The role of the coupon each purchase uses, or NULL; `tickets` are 0 to 99."""
        used = np.full(len(who), NULL, np.int8)
        for role in (OTHER, RETENTION, TRAFFIC):  # the last one wins: traffic before retention
            holds = (self.begins[role, who] <= day) & (day <= self.ends[role, who])
            share = USES[role, response]
            if role == RETENTION:
                opened = (self.traffic_used[who] >= 0) & (self.traffic_used[who] < day)
                share = np.where(opened, share, USES_UNPAIRED)
            used[holds & (tickets < share)] = role
        return used

    def spend(self, who: Array, role: Array, day: Array) -> None:
        """These coupons are used up."""
        self.ends[role, who] = -1
        traffic = role == TRAFFIC
        self.traffic_used[who[traffic]] = day[traffic]
