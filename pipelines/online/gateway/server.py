"""Starting the gateway: `serve` for the command line, one process, one brand."""

from __future__ import annotations

import gc
import logging
from functools import partial

from pipelines.core.home import Brand
from pipelines.online.access.policy import require_closed
from pipelines.online.gateway import HOST, PORT
from pipelines.online.gateway.app import Gateway
from pipelines.online.gateway.settings import Settings
from pipelines.online.stores import open_store

BACKLOG = 2048
KEEP_ALIVE_S = 75
DRAIN_S = 10
ANSWER_S = 2.0  # what is left to tell a slow caller why, before its connection is cut
COLLECT_AFTER = 50_000  # new containers; a request makes a few hundred and frees them itself


def serve(brand: Brand, host: str = HOST, port: int = PORT) -> None:
    """Serve the brand until stopped; requests under way are finished first.

    Raises:
        UsageError: nothing to serve yet, or `host` is beyond loopback and no access is set up.
    """
    import uvicorn

    from pipelines.online.gateway.wire import BoundedProtocol

    settings = Settings.from_env()
    gateway = Gateway(brand, open_store(brand, settings.timeout_s), settings=settings)
    require_closed(gateway.live.access, host)
    # what is loaded by now stays: the collector need not look at it again, nor look so often
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    logging.getLogger(__name__).info("serving %s on %s:%d", brand.name, host, port)
    uvicorn.run(
        gateway,
        host=host,
        port=port,
        loop="uvloop",
        http=partial(BoundedProtocol, patience_s=settings.body_timeout_s + ANSWER_S),  # type: ignore[arg-type]  # called as a class is
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
