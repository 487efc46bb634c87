"""Contract of what members allow: consents."""

from __future__ import annotations

from pipelines.core.contracts.base import Contract, Instant, SourceTable, optional, required


class Consents(SourceTable):
    """A statement of a member for one purpose; the latest one holds."""

    member_id: str = required("Who said it.", pii="pseudonym")
    purpose: str = required(
        "What is allowed or not.",
        one_of=("marketing", "profiling", "survey", "location", "share_third_party"),
    )
    state: str = required("Yes or no.", one_of=("granted", "withdrawn"))
    at: Instant = required("When it was said.")
    source: str = optional("Where it was said.")
    text_version: str = optional("Version of the words that were agreed to.")


CONTRACTS = (Contract("consents", Consents, ("member_id", "purpose", "at"), "at"),)
