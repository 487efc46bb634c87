"""`huitou serve` and `huitou dev`: the gateway, and the Dagster UI with its daemon."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

import typer

from pipelines.cli import options, runner
from pipelines.core.errors import UsageError
from pipelines.core.home import REPOSITORY, Home
from pipelines.online.gateway import HOST, PORT

#: The processes of `dagster dev` meet at sockets in the temporary folder, whose paths the system
#: keeps to about 100 characters.
LONGEST_FOLDER, SHORT_FOLDER = 80, "/tmp"  # noqa: S108  # names in it are random


def register(app: typer.Typer) -> None:
    """Add `serve` and `dev`."""
    app.command("serve")(serve)
    app.command("dev")(dev)


def serve(
    brand: options.BrandName = None,
    host: Annotated[str, typer.Option(help="Beyond loopback only with keys or OIDC.")] = HOST,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = PORT,
) -> None:
    """Serve the online store: Feast's protocol and /v1. See docs/gateway.md.

    Example:

        huitou serve --port 8566
    """
    _, chosen = options.chosen_brand(brand)
    words = ["--brand", chosen.name, "--host", host, "--port", str(port)]
    _become([sys.executable, "-P", "-m", "pipelines.online.gateway", *words])


def dev(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the UI, on loopback.")
    ] = 3000,
) -> None:
    """The Dagster UI with workspace.yaml and the daemon, for the brand last run.

    Example:

        huitou dev --port 3001
    """
    check_free(port)
    home = Home.from_env()
    try:
        runner.use_brand(home, home.current())
    except UsageError:
        runner.use_brand(home, home.brand("none"), choose=False)
    if len(gettempdir()) > LONGEST_FOLDER:
        os.environ["TMPDIR"] = SHORT_FOLDER
    dagster = str(Path(sys.executable).parent / "dagster")
    os.chdir(REPOSITORY)
    _become([dagster, "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)])


def check_free(port: int) -> None:
    """Make sure that the port is free on loopback.

    Raises:
        UsageError: something listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the UI does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            message = f"port {port} of this machine cannot be had: {error.strerror}"
            raise UsageError(message, "stop what listens there, or give another --port") from None


def _become(command: list[str]) -> None:
    """Go on as `command`, so that signals and exit codes are its own."""
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606  # no shell is wanted
