"""Whose turn it is to write a brand's online store: one process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.core.errors import HuitouError
from pipelines.core.home import Brand


class PublishError(HuitouError):
    """The store cannot be written as asked; it keeps serving what it held."""


@contextmanager
def alone(brand: Brand) -> Iterator[None]:
    """Holds the brand's lock, which ends with the process however that ends.

    Raises:
        PublishError: another process holds it.
    """
    brand.root.mkdir(parents=True, exist_ok=True)
    with (brand.root / "publish.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another publish of brand {brand.name} is under way"
            raise PublishError(message, "wait for it to end") from error
        yield
