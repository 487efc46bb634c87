"""Typed client of the Huitou gateway, sync and async, with retries and a timeout.

    from huitou_client import Client
    from huitou_client.services import ChatSidebarV1

    with Client("http://127.0.0.1:8566", key="huitou_…") as huitou:
        member = huitou.member(ChatSidebarV1, "M00000900")
        last = member.member_orders_v1.last_order_at
        if last.is_usable:
            print(last.value, "since", last.since)

`services.py` is generated from the same definitions as the gateway; the rest is written by hand.
"""

from huitou_client.answers import (
    Answer,
    Clock,
    Eligibility,
    Status,
    Tag,
    Tags,
    Value,
    ViewState,
)
from huitou_client.client import AsyncClient, Client
from huitou_client.errors import GatewayError, UnavailableError
from huitou_client.retries import Retries

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "Clock",
    "Eligibility",
    "GatewayError",
    "Retries",
    "Status",
    "Tag",
    "Tags",
    "UnavailableError",
    "Value",
    "ViewState",
]
