"""The synthetic shop: a believable brand with known truth, drawn from a seed."""

from __future__ import annotations

from pipelines.core.shop.config import Dirt, ShopConfig, ShopReport
from pipelines.core.shop.generate import generate, generate_parquet

__all__ = ["Dirt", "ShopConfig", "ShopReport", "generate", "generate_parquet"]
