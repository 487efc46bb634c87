"""Python values from the bytes of `feast.types.Value`, without protobuf: for gateway and parity.

String, Int64, Float64 and Bool become str, int, float, bool; lists become lists. An instant is
an int: Feast keeps whole seconds since 1970. Null is `None`: an empty message, or the int64 minimum
that Feast itself writes for a null instant.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Decoded = str | int | float | bool | list[str] | list[int] | list[float] | None

NULL_INSTANT = -(1 << 63)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decode(raw: bytes) -> Decoded:
    """The value of a serialized `Value` of any type that the catalogue knows.

    Raises:
        ValueError: the bytes hold another type, or no message at all.
    """
    if not raw:
        return None
    reader = _READERS.get(raw[0])
    if reader is None:
        message = f"{raw!r} is no Value of a type in use"
        raise ValueError(message)
    try:
        return reader(raw)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        message = f"{raw!r} is no whole Value"
        raise ValueError(message) from error


def instant(raw: bytes) -> datetime:
    """The datetime (UTC) of a serialized protobuf `Timestamp`, as Redis holds event times."""
    at, seconds, nanos = 0, 0, 0
    while at < len(raw):
        tag = raw[at]
        number, at = _varint(raw, at + 1)
        if tag == 0x08:
            seconds = _signed(number)
        else:
            nanos = number
    return EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    byte = raw[at]
    if byte < 0x80:
        return byte, at + 1
    number, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = raw[at]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at + 1
        shift += 7


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _string(raw: bytes) -> str:
    size, at = _varint(raw, 1)
    return _exactly(raw, at, size).decode()


def _int64(raw: bytes) -> int:
    return _signed(_varint(raw, 1)[0])


def _float64(raw: bytes) -> float:
    return float(struct.unpack_from("<d", raw, 1)[0])


def _bool(raw: bytes) -> bool:
    return raw[1] == 1


def _instant(raw: bytes) -> int | None:
    seconds = _int64(raw)
    return None if seconds == NULL_INSTANT else seconds


def _strings(raw: bytes) -> list[str]:
    body, values, at = _body(raw, 1), [], 0
    end = len(body)
    while at < end:
        size, start = body[at + 1], at + 2
        if size >= 0x80:  # the rare long text; short ones are worth a short way
            size, start = _varint(body, at + 1)
        at = start + size
        if at > end:
            raise IndexError
        values.append(body[start:at].decode())
    return values


def _float64s(raw: bytes) -> list[float]:
    packed = _packed(_body(raw, 1))
    return list(struct.unpack(f"<{len(packed) // 8}d", packed))


def _int64s(raw: bytes) -> list[int]:
    return _numbers(_body(raw, 1))


def _instants(raw: bytes) -> list[int]:
    return _numbers(_body(raw, 2))


def _numbers(body: bytes) -> list[int]:
    packed, values, number, shift = _packed(body), [], 0, 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # the last byte of a varint
            values.append(_signed(number) if shift > 56 else number)  # bit 63
            number = shift = 0
        else:
            shift += 7
    if shift:
        raise IndexError
    return values


def _body(raw: bytes, at: int) -> bytes:
    """The list message inside a Value whose tag ends before `at`."""
    size, at = _varint(raw, at)
    return _exactly(raw, at, size)


def _packed(body: bytes) -> bytes:
    """The packed numbers inside a list message; an empty list has none."""
    if not body:
        return b""
    size, at = _varint(body, 1)
    return _exactly(body, at, size)


def _exactly(raw: bytes, at: int, size: int) -> bytes:
    piece = raw[at : at + size]
    if len(piece) < size:
        raise IndexError
    return piece


#: By the first byte of the tag of the field that is set.
_READERS: dict[int, Callable[[bytes], Decoded]] = {
    0x12: _string,
    0x20: _int64,
    0x29: _float64,
    0x38: _bool,
    0x40: _instant,
    0x62: _strings,
    0x72: _int64s,
    0x7A: _float64s,
    0x92: _instants,
}
