"""What a chat sidebar or a mass sender would do, with the typed client."""

from __future__ import annotations

import asyncio
import os
import sys

from huitou_client import AsyncClient, Client, GatewayError, UnavailableError
from huitou_client.services import ChatSidebarV1, MassSenderV1

URL = os.environ.get("HUITOU_URL", "http://127.0.0.1:8566")
KEY = os.environ.get("HUITOU_KEY", "")


def sidebar(member_id: str) -> None:
    """Show one member: every value is used only if its status allows it."""
    with Client(URL, key=KEY, timeout_s=1.0) as huitou:
        member = huitou.member(ChatSidebarV1, member_id)
        last = member.member_orders_v1.last_order_at
        print("last order:", last.value if last.is_usable else f"not known ({last.status})")
        for tag in huitou.tags(member_id).tags:
            print("tag:", tag.code, "until", tag.until or "further notice")


async def send(member_ids: list[str]) -> None:
    """Pick those who may be sent a promotion now."""
    async with AsyncClient(URL, key=KEY) as huitou:
        for member in await huitou.members(MassSenderV1, member_ids):
            assert member.eligibility is not None  # this service has it
            print(member.member_id, member.eligibility.promo_allowed, *member.eligibility.reasons)


if __name__ == "__main__":
    try:
        sidebar(sys.argv[1])
        asyncio.run(send([sys.argv[1], "nobody"]))
    except UnavailableError as error:
        sys.exit(f"try again later: {error}")
    except GatewayError as error:
        sys.exit(str(error))  # its code, the words, the request's id
