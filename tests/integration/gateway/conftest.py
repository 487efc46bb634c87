"""Gateways that listen on a port of loopback, in this process or in one of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from pipelines.online.gateway.app import Gateway


@contextmanager
def listening(gateway: Gateway) -> Iterator[str]:
    """The address of the gateway, served by a thread of this process."""
    config = uvicorn.Config(
        gateway, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def spawned(home: Path, *options: str, **variables: str) -> Iterator[str]:
    """The address of `python -m pipelines.online.gateway` in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "pipelines.online.gateway", "--port", str(port), *options]
    environment = {**os.environ, "HUITOU_HOME": str(home), **variables}
    log = (home / "gateway.log").open("wb")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=15)
        log.close()


def until(is_so: Callable[[], bool], seconds: float = 15.0) -> float:
    """Seconds until `is_so`; fails when it takes longer than allowed."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds:
            pytest.fail(f"not so after {seconds} s")
        time.sleep(0.02)
    return time.monotonic() - began


def answers(url: str, status: int = 200) -> bool:
    """Whether the address answers with that status."""
    try:
        return httpx.get(url, timeout=5).status_code == status
    except httpx.TransportError:
        return False
