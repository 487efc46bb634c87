"""One folder a source system: how its files map to the contracts, and nothing else."""

from __future__ import annotations

from pipelines.adapters.completejourney import CompleteJourney
from pipelines.adapters.olist import Olist
from pipelines.adapters.online_retail_ii import OnlineRetail
from pipelines.adapters.shop import Shop
from pipelines.core.errors import UsageError
from pipelines.core.source import Adapter

ADAPTERS: dict[str, type[Adapter]] = {
    one.name: one for one in (Shop, CompleteJourney, Olist, OnlineRetail)
}


def get(name: str) -> Adapter:
    """The adapter of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in ADAPTERS:
        message = f"there is no adapter {name!r}"
        raise UsageError(message, f"choose one of {', '.join(sorted(ADAPTERS))}")
    return ADAPTERS[name]()
