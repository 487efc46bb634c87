"""Contracts of what is sold, and where: products and stores."""

from __future__ import annotations

import polars as pl

from pipelines.core.contracts.base import (
    Contract,
    Dates,
    Instant,
    SourceTable,
    Strings,
    optional,
    required,
    rule,
)


class Products(SourceTable):
    """A product that can be ordered; a change of its row is a new version of it."""

    sku_id: str = required("Id of what is ordered.")
    spu_id: str = optional("Id of the product that the sku is a variant of.")
    name_zh: str = optional("Chinese name.")
    name_en: str = optional("English name.")
    category_l1: str = optional("Widest category.")
    category_l2: str = optional("The category that cycles and breadth are counted by.")
    category_l3: str = optional("Narrowest category.")
    repurchase_type: str = optional(
        "How it is bought again: used up, worn out of fashion, or rarely.",
        one_of=("consumable", "fast_moving", "durable"),
    )
    unit_size: str = optional("Size of one unit, in the source's words.")
    days_per_unit: float = optional("Days that one unit typically lasts.")
    price_minor: int = optional("List price in minor units.")
    launched_at: Instant = optional("When it was first sold.")
    retired_at: Instant = optional("When it was last sold.")
    scenario_codes: Strings = optional("What it is used for, e.g. outdoor.")
    creative_version: str = optional("Version of its pictures and words.")
    hero_dates: Dates = optional("Days on which it was the day's special.")

    @rule("category_l1", "Give the product at least one category.")
    @classmethod
    def no_category(cls) -> pl.Expr:
        """Cycles, breadth and repurchase types hang on the category."""
        return pl.any_horizontal(pl.col("category_l1", "category_l2", "category_l3").is_not_null())


class Stores(SourceTable):
    """A store or counter where members buy in person."""

    store_id: str = required("Id of the store.")
    shop_id: str = optional("The shop, as a channel sees it, that the store belongs to.")
    name: str = optional("Name on the sign.")
    lat: float = optional("Latitude in degrees.")
    lng: float = optional("Longitude in degrees.")
    coord_system: str = optional(
        "Which of the shifted systems the coordinates are in.", one_of=("wgs84", "gcj02", "bd09")
    )
    opened_at: Instant = optional("When it opened.")
    closed_at: Instant = optional("When it closed.")
    tz: str = optional("IANA time zone of the store.")

    @rule("lat", "Latitude in [-90, 90] and longitude in [-180, 180], both or neither.")
    @classmethod
    def bad_coordinates(cls) -> pl.Expr:
        """Half a position is none."""
        lat, lng = pl.col("lat"), pl.col("lng")
        inside = lat.is_between(-90, 90) & lng.is_between(-180, 180)
        return pl.when(lat.is_null() & lng.is_null()).then(True).otherwise(inside.fill_null(False))

    @rule("coord_system", "Say wgs84, gcj02 or bd09: they differ by hundreds of metres.")
    @classmethod
    def coord_system_missing(cls) -> pl.Expr:
        """Coordinates mean nothing without their system."""
        return pl.col("lat").is_null() | pl.col("coord_system").is_not_null()


CONTRACTS = (
    Contract("products", Products, ("sku_id",), "launched_at"),
    Contract("stores", Stores, ("store_id",), "opened_at"),
)
