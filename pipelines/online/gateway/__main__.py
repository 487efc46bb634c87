"""`python -m pipelines.online.gateway`: serve a brand without the rest of the product loaded."""

from __future__ import annotations

import argparse
import logging
import sys

from pipelines.core.errors import HuitouError
from pipelines.core.home import Home
from pipelines.online.gateway import HOST, PORT
from pipelines.online.gateway.server import serve


def main() -> int:
    """Serve as the options say; the exit code says how it ended."""
    parser = argparse.ArgumentParser(prog="pipelines.online.gateway", description=__doc__)
    parser.add_argument("--brand", help="brand to serve; default: the one last run")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    home = Home.from_env()
    try:
        serve(home.brand(given.brand) if given.brand else home.current(), given.host, given.port)
    except HuitouError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
