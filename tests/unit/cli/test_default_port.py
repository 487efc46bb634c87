"""The gateway's default port: one number everywhere, and one that browsers ask."""

from __future__ import annotations

import inspect
import re

import pytest

from pipelines.cli.commands import demo, serve
from pipelines.core.home import REPOSITORY
from pipelines.online.gateway import HOST, PORT

#: The Fetch standard's blocked ports from 1024 on; `fetch` fails before it connects.
BLOCKED = {
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566,
    6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
}  # fmt: skip
PAGES = [
    "README.md",
    "docs/gateway.md",
    "examples/curl.sh",
    "examples/feast_sdk.py",
    "examples/member.mjs",
    "examples/python_client.py",
    "clients/python/huitou_client/__init__.py",
    "clients/python/huitou_client/feast_store.py",
]


def test_browsers_may_ask_the_default_port() -> None:
    assert PORT not in BLOCKED


def test_the_command_serves_the_gateways_default_port() -> None:
    assert inspect.signature(serve.serve).parameters["port"].default == PORT
    assert f"{HOST}:{PORT}" in demo.NEXT.format(member="m", host=HOST, port=PORT)


@pytest.mark.parametrize("page", PAGES)
def test_what_is_written_down_asks_the_default_port(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    found = re.findall(r"(?:127\.0\.0\.1|localhost):(\d+)", text)
    assert set(found) - {"3000"} == {str(PORT)}
