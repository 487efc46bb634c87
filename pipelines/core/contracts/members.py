"""Contract of the people: members."""

from __future__ import annotations

import polars as pl

from pipelines.core.contracts.base import Contract, Instant, SourceTable, optional, required, rule
from pipelines.core.contracts.orders import CHANNELS

GEOHASH = "^[0-9b-hjkmnp-z]{6}$"


class Members(SourceTable):
    """A person the brand can recognise again, as the source knew them at that version."""

    member_id: str = required("Id of the member in the source.", pii="pseudonym")
    member_type: str = optional(
        "Whom the brand sells to; only consumers enter consumer KPIs.",
        one_of=("consumer", "reseller", "employee"),
    )
    joined_at: Instant = required("When the member joined, or was first seen.")
    join_type: str = optional("What joining cost.", one_of=("free", "paid", "topup"))
    join_channel: str = optional("Where the member joined.", one_of=CHANNELS)
    acquisition_code: str = optional("The code or campaign that brought the member.")
    home_store_id: str = optional("The store the member belongs to.")
    geohash6: str = optional("Where the member lives, to about a kilometre.", pii="location")
    birth_month: int = optional("Month of birth, 1 to 12; never the day or the year.", pii="birth")
    gender_declared: str = optional(
        "As the member says, never guessed.",
        pii="gender",
        one_of=("female", "male", "other", "undisclosed"),
    )
    status: str = optional(
        "Merged members point to `merged_into`.", one_of=("active", "closed", "merged")
    )
    merged_into: str = optional("The member this one was merged into.", pii="pseudonym")
    updated_at: Instant = required("When the source last changed the row.")

    @rule("joined_at", "Correct the date in the source; a member cannot join after we hear of it.")
    @classmethod
    def joined_in_future(cls) -> pl.Expr:
        """Nobody is known before joining."""
        return pl.col("joined_at") <= pl.col("known_at")

    @rule("geohash6", "Six characters of the geohash alphabet (no a, i, l, o), lower case.")
    @classmethod
    def bad_geohash(cls) -> pl.Expr:
        """A geohash of another length means another precision."""
        return pl.col("geohash6").str.contains(GEOHASH)

    @rule("birth_month", "A month from 1 to 12, or nothing.")
    @classmethod
    def bad_birth_month(cls) -> pl.Expr:
        """Months end at twelve."""
        return pl.col("birth_month").is_between(1, 12)

    @rule("merged_into", "Name the surviving member; longer cycles are found in the warehouse.")
    @classmethod
    def merge_cycle(cls) -> pl.Expr:
        """A member merged into itself leaves nobody to follow."""
        return pl.col("merged_into") != pl.col("member_id")


CONTRACTS = (Contract("members", Members, ("member_id",), "joined_at"),)
