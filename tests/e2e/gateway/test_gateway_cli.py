"""From the command line: keys made and revoked, the gateway served, one member asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from pipelines.core.home import Home
from tests import gateway_sample as sample
from tests.conftest import free_port

pytestmark = pytest.mark.e2e

HUITOU = str(Path(sys.executable).with_name("huitou"))


def test_a_key_is_made_used_and_revoked(tmp_path: Path) -> None:
    brand = sample.make_brand(tmp_path)
    Home(tmp_path).choose(brand)
    sample.sqlite_store(brand).close()
    environment = {**os.environ, "HUITOU_HOME": str(tmp_path), "HUITOU_BRAND": ""}

    def huitou(*words: str) -> str:
        command = [HUITOU, *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    key = huitou("keys", "create", "app", "--service", "lenient_v1", "--scope", "replay")
    assert key.startswith("huitou_")
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1/members/anna?service=lenient_v1"
    headers = {"Authorization": f"Bearer {key}"}
    served = subprocess.Popen([HUITOU, "serve", "--port", str(port)], env=environment)
    try:
        assert _answers(f"http://127.0.0.1:{port}/readyz", 200)
        now = {"now": "2025-03-01T19:00:00Z"}
        answer = httpx.get(url, headers=headers, params={"service": "lenient_v1", **now}).json()
        asked = json.loads(
            huitou("member", "anna", "--service", "lenient_v1", "--now", now["now"], "--json")
        )
        assert asked["features"] == answer["features"]
        assert httpx.get(url).status_code == 401
        huitou("keys", "revoke", "app")
        assert _answers(url, 401, headers)
    finally:
        served.terminate()
        assert served.wait(timeout=20) in (0, -15)


def _answers(url: str, status: int, headers: dict[str, str] | None = None) -> bool:
    for _ in range(300):
        try:
            if httpx.get(url, headers=headers).status_code == status:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    return False
