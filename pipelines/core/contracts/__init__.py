"""One contract a source table, by domain; `TABLES` holds them all in the order they are loaded."""

from __future__ import annotations

from pipelines.core.contracts import catalogue, consents, coupons, members, orders, surveys
from pipelines.core.contracts.base import COMMON, Column, Contract, Rule
from pipelines.core.errors import UsageError

__all__ = ["COMMON", "TABLES", "Column", "Contract", "Rule", "contract"]

TABLES: dict[str, Contract] = {
    one.name: one
    for module in (members, catalogue, orders, surveys, coupons, consents)
    for one in module.CONTRACTS
}


def contract(table: str) -> Contract:
    """The contract of that table.

    Raises:
        UsageError: there is no such table.
    """
    if table not in TABLES:
        message = f"there is no source table {table!r}"
        raise UsageError(message, f"choose one of {', '.join(TABLES)}")
    return TABLES[table]
