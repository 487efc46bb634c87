"""Feast's names and keys in the online stores, one at a time; `encoder.py` makes many at once.

Entity keys are Feast's serialization version 3: number of join keys, each name with its type and
length, then each value with its type and length, in the order of the names; all little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import mmh3

STRING, INT64 = 2, 4  # feast.types.ValueType


def entity_key(join_keys: Sequence[str], values: Sequence[str | int]) -> bytes:
    """The serialized entity key of one entity; a text is a String, an int an Int64."""
    pairs = sorted(zip(join_keys, values, strict=True))
    return key_prefix(join_keys) + b"".join(_value(value) for _, value in pairs)


def key_prefix(join_keys: Sequence[str]) -> bytes:
    """What all entity keys of these join keys begin with."""
    names = [name.encode() for name in sorted(join_keys)]
    parts = [struct.pack("<II", STRING, len(name)) + name for name in names]
    return struct.pack("<I", len(names)) + b"".join(parts)


def split_key(stored: bytes) -> tuple[list[str], list[str | int], bytes]:
    """Join keys, their values, and what follows them (in Redis: the project) of a stored key.

    Raises:
        ValueError: it is no entity key of version 3.
    """
    try:
        (count,) = struct.unpack_from("<I", stored)
        names, at = _items(stored, 4, count)
        values, at = _items(stored, at, count)
    except (struct.error, UnicodeDecodeError) as error:
        message = f"{stored!r} is not an entity key"
        raise ValueError(message) from error
    return [str(name) for name in names], values, stored[at:]


def redis_field(view: str, feature: str) -> bytes:
    """The hash field that holds a feature: murmur3 of `view:feature`, little-endian."""
    return struct.pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))


def redis_ts_field(view: str) -> bytes:
    """The hash field that holds the event time of a view."""
    return f"_ts:{view}".encode()


def sqlite_table(project: str, view: str) -> str:
    """The table that holds a view, one row a key and feature."""
    return f"{project}_{view}"


def _value(value: str | int) -> bytes:
    if isinstance(value, int):
        return struct.pack("<IIq", INT64, 8, value)
    text = value.encode()
    return struct.pack("<II", STRING, len(text)) + text


def _items(stored: bytes, at: int, count: int) -> tuple[list[str | int], int]:
    items: list[str | int] = []
    if count > len(stored):
        raise struct.error
    for _ in range(count):
        kind, size = struct.unpack_from("<II", stored, at)
        at += 8 + size
        item = stored[at - size : at]
        if len(item) < size or kind not in (STRING, INT64):
            raise struct.error
        items.append(item.decode() if kind == STRING else struct.unpack("<q", item)[0])
    return items, at
