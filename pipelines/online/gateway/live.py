"""What requests are answered by, swapped as a whole when a file of the brand changes.

A request takes the reference once and keeps it to its end, so a reload drops none. A file that
cannot be read leaves what was in force, and says so in the log and in `huitou_reloads_total`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.core.catalog import Catalog
from pipelines.core.errors import UsageError
from pipelines.core.home import Brand
from pipelines.online.access.caller import Caller
from pipelines.online.access.erasures import Erasures, erasures_path
from pipelines.online.access.keys import keys_path
from pipelines.online.access.oidc import oidc_path
from pipelines.online.access.policy import Access
from pipelines.online.gateway.metrics import Metrics
from pipelines.online.gateway.openapi import openapi_document
from pipelines.online.gateway.plans import Definitions
from pipelines.online.stores import OnlineReader

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Live:
    """One consistent state of everything that files define."""

    definitions: Definitions
    access: Access
    erasures: Erasures
    _documents: dict[frozenset[str], bytes] = field(default_factory=dict)

    def openapi(self, caller: Caller) -> bytes:
        """The OpenAPI document with what the caller may read."""
        names = frozenset(name for name in self.definitions.services if caller.may_read(name))
        if names not in self._documents:
            self._documents[names] = openapi_document(self.definitions.catalog, names)
        return self._documents[names]


class Reloader:
    """Holds the current `Live` and renews the part whose file changed."""

    def __init__(self, brand: Brand, reader: OnlineReader, metrics: Metrics) -> None:
        """Load everything.

        Raises:
            UsageError: the brand has no definitions yet, or a file cannot be read.
        """
        if not brand.catalog.exists():
            message = f"brand {brand.name!r} has no definitions to serve"
            raise UsageError(message, "run `huitou run` or `make demo` first")
        self._brand = brand
        self._reader = reader
        self._metrics = metrics
        self._stamps = {name: _stamp(*paths) for name, paths in self._watched().items()}
        with _readable(brand.catalog):
            definitions = Definitions.of(Catalog.load(brand.catalog), reader)
        with _readable(keys_path(brand), oidc_path(brand)):
            access = Access.load(brand)
        self.live = Live(definitions, access, Erasures.load(erasures_path(brand)))

    def check(self) -> None:
        """Take up every file that changed since the last look."""
        for name, paths in self._watched().items():
            stamp = _stamp(*paths)
            if stamp != self._stamps[name]:
                self._stamps[name] = stamp
                self._renew(name)

    def _renew(self, name: str) -> None:
        renew: dict[str, Callable[[], Live]] = {
            "catalog": self._with_catalog,
            "access": lambda: replace(self.live, access=Access.load(self._brand, self.live.access)),
            "erasures": lambda: replace(
                self.live,
                erasures=Erasures.load(erasures_path(self._brand), self.live.erasures),
            ),
        }
        try:
            self.live = renew[name]()
        except Exception:  # whatever is wrong with a file, the gateway goes on
            log.exception("%s cannot be read; what was in force stays so", name)
            self._metrics.reloaded(name, "failed")
        else:
            log.info("%s taken up", name)
            self._metrics.reloaded(name, "done")

    def _with_catalog(self) -> Live:
        definitions = Definitions.of(Catalog.load(self._brand.catalog), self._reader)
        return Live(definitions, self.live.access, self.live.erasures)

    def _watched(self) -> dict[str, tuple[Path, ...]]:
        brand = self._brand
        return {
            "catalog": (brand.catalog,),
            "access": (keys_path(brand), oidc_path(brand)),
            "erasures": (erasures_path(brand),),
        }


@contextmanager
def _readable(*paths: Path) -> Iterator[None]:
    """Names the files whose content is not what it should be.

    Raises:
        UsageError: it is not.
    """
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        names = " or ".join(str(path) for path in paths if path.exists())
        message = f"{names} cannot be read: {type(error).__name__}: {error}"
        raise UsageError(message, "restore the file, or take it away and make it anew") from error


def _stamp(*paths: Path) -> tuple[tuple[int, int, int] | None, ...]:
    return tuple(_one(path) for path in paths)


def _one(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:  # gone, or where it was is no folder any more
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
