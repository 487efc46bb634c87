"""Feast's Redis layout, written and read in bulk.

A hash for each entity, named by its serialized key and the project; in it a field for each feature
and one, `_ts:<view>`, for the view's event time. A batch becomes one Arrow binary array of packed
HSETs, whose buffer goes to the socket as it is. Batches are bounded and a write waits for its
replies, so neither side piles up.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.catalog import FeatureView
from pipelines.online.decoder import EPOCH, instant
from pipelines.online.encoder import Encoded, join, literal, timestamps
from pipelines.online.layout import key_prefix, redis_field, redis_ts_field, split_key
from pipelines.online.redis_cluster import AsyncCluster, Cluster
from pipelines.online.resp import (
    Address,
    AsyncConnection,
    Connection,
    Reply,
    Target,
    pack,
    parse_url,
    refused,
)
from pipelines.online.stores import Asked, Published, Reading, ReadPlan, Row, Written

#: Keys in one pipeline: enough to hide the round trip, few enough for a few MB of memory.
BATCH = 4_000
WRITE_TIMEOUT_S = 60.0
NEVER = -(1 << 63)

_instant = lru_cache(maxsize=4_096)(instant)
_published = lru_cache(maxsize=256)(Published.from_json)


@dataclass(frozen=True)
class _Hmget:
    """A packed HMGET, but for the entity key between `head` and `tail`."""

    head: bytes
    tail: bytes


_Part = tuple[pa.BinaryArray, pa.BinaryArray]  # keys, and the packed command for each


class _Wire(Protocol):
    def exchange(self, keys: pa.BinaryArray, commands: pa.BinaryArray) -> list[Reply]: ...

    def stream(self, parts: Iterable[_Part]) -> Iterator[list[Reply]]: ...

    def connections(self) -> list[Connection]: ...

    def close(self) -> None: ...


class _One:
    """One Redis: packed commands go out as they lie in memory."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._connection = Connection(address, timeout_s)

    def exchange(
        self,
        keys: pa.BinaryArray,  # noqa: ARG002  # only a cluster asks where a key lives
        commands: pa.BinaryArray,
    ) -> list[Reply]:
        return self._connection.exchange(_payload(commands), len(commands))

    def stream(self, parts: Iterable[_Part]) -> Iterator[list[Reply]]:
        packed = ((_payload(commands), len(commands)) for _, commands in parts)
        return self._connection.stream(packed)

    def connections(self) -> list[Connection]:
        return [self._connection]

    def close(self) -> None:
        self._connection.close()


class _Many:
    """A cluster: commands are sorted by node."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._cluster = Cluster(address, timeout_s)

    def exchange(self, keys: pa.BinaryArray, commands: pa.BinaryArray) -> list[Reply]:
        return self._cluster.exchange(keys.to_pylist(), commands.to_pylist())

    def stream(self, parts: Iterable[_Part]) -> Iterator[list[Reply]]:
        return (self.exchange(keys, commands) for keys, commands in parts)

    def connections(self) -> list[Connection]:
        return self._cluster.connections()

    def close(self) -> None:
        self._cluster.close()


class RedisStore:
    """The online store in one Redis or a Redis Cluster; see `stores.OnlineStore`."""

    def __init__(self, redis: str | Target, project: str, timeout_s: float = 2.0) -> None:
        self._address, self._is_cluster = parse_url(redis) if isinstance(redis, str) else redis
        self._timeout_s = timeout_s
        self._project = project.encode()
        self._watermarks = f"huitou:watermark:{project}"
        self._checkpoints = f"huitou:checkpoint:{project}"
        wire = _Many if self._is_cluster else _One
        self._writing: _Wire = wire(self._address, WRITE_TIMEOUT_S)
        self._reading: _Wire = wire(self._address, timeout_s)
        self._lock = threading.Lock()
        self._lines: dict[asyncio.AbstractEventLoop, AsyncConnection | AsyncCluster] = {}

    # -- reading ---------------------------------------------------------------------------------

    def plan(self, join_keys: Sequence[str], columns: Sequence[tuple[str, str]]) -> ReadPlan:
        """The HMGET that reads `columns` and the event time of each of their views."""
        views = tuple(dict.fromkeys(view for view, _ in columns))
        fields = [redis_field(view, feature) for view, feature in columns]
        fields += [redis_ts_field(view) for view in views]
        head = b"*%d\r\n$5\r\nHMGET\r\n$" % (len(fields) + 2)
        tail = self._project + b"\r\n" + b"".join(_bulk(field) for field in fields)
        native = _Hmget(head, tail)
        return ReadPlan(tuple(join_keys), tuple(columns), views, native)

    def read(self, asked: Asked) -> Reading:
        """The rows of all keys asked, in one round trip."""
        keys, commands = self._commands(asked)
        with self._lock:
            arrays = pa.array(keys, pa.binary()), pa.array(commands, pa.binary())
            replies = self._reading.exchange(*arrays)
        return self._rows(asked, replies)

    async def read_async(self, asked: Asked) -> Reading:
        """The same as `read`, from an event loop; requests share one connection."""
        keys, commands = self._commands(asked)
        line = self._line()
        if isinstance(line, AsyncCluster):
            return self._rows(asked, await line.exchange(keys, commands))
        return self._rows(asked, await line.exchange(b"".join(commands), len(commands)))

    def watermarks(self) -> Mapping[str, Published]:
        """The watermark of every view that was ever published."""
        with self._lock:
            return _watermarks(self._ask(self._reading, self._watermarks, "HGETALL"))

    def close(self) -> None:
        """Close every connection; the next call opens them anew."""
        self._writing.close()
        self._reading.close()
        for loop, line in self._lines.items():
            if not loop.is_closed():
                line.close()
        self._lines.clear()

    # -- writing ---------------------------------------------------------------------------------

    def prepare(self, view: FeatureView) -> None:
        """Nothing: a hash comes to be by being written."""

    def is_empty(self) -> bool:
        """Whether the database holds no key of anyone."""
        counts = [line.exchange(pack("DBSIZE"), 1)[0] for line in self._writing.connections()]
        refused(self._address, counts)
        return not any(counts)

    def write(self, view: FeatureView, batch: Encoded, *, guard: bool = True) -> Written:
        """Write every feature of the batch, in bounded pipelines."""
        keys, events = join(batch.keys, literal(self._project)), batch.event_us
        keep = self._not_newer(view, keys, events) if guard else None
        kept = _keep(keys, keep)
        heads = _field_heads(view)
        values = [_keep(column, keep) for column in (*batch.values, timestamps(events))]

        def hsets(at: int) -> pa.BinaryArray:
            return _hsets(kept.slice(at, BATCH), heads, [v.slice(at, BATCH) for v in values])

        _, size = self._send(kept, hsets)
        return Written(len(kept), len(keys) - len(kept), size)

    def delete(self, view: FeatureView, keys: pa.Array, event_us: pa.Array) -> Written:
        """Remove the view's fields; a hash without fields is gone by itself."""
        stored = join(keys, literal(self._project))
        kept = _keep(stored, self._not_newer(view, stored, event_us))
        fields = [*(redis_field(view.name, f.name) for f in view.features), _ts(view)]
        head = b"*%d\r\n$4\r\nHDEL\r\n$" % (len(fields) + 2)
        tail = literal(b"\r\n" + b"".join(_bulk(field) for field in fields))
        replies, size = self._send(
            kept, lambda at: join(*_key_pieces(head, kept.slice(at, BATCH)), tail)
        )
        gone = sum(1 for reply in replies if reply)
        return Written(gone, len(stored) - len(kept), size)

    def keys(self, view: FeatureView) -> Iterator[list[bytes]]:
        """The entity keys whose hash has the view's event time, as a scan meets them."""
        pattern = b"%b*%b" % (_escaped(key_prefix(view.join_keys)), _escaped(self._project))
        for line in self._writing.connections():
            cursor = b"0"
            while True:
                scan = pack("SCAN", cursor, "MATCH", pattern, "COUNT", str(BATCH))
                replies = line.exchange(scan, 1)
                refused(self._address, replies)
                cursor, found = replies[0]
                mine = [key for key in found if self._is_mine(key)]
                if held := self._holding(view, mine):
                    yield [key[: -len(self._project)] for key in held]
                if cursor == b"0":
                    break

    def set_watermark(self, view: str, published: Published) -> None:
        """Record what the store holds of the view; forgets the view's checkpoint."""
        self._ask(self._writing, self._watermarks, "HSET", view, published.to_json())
        self._ask(self._writing, self._checkpoints, "HDEL", view)

    def checkpoint(self, view: str) -> str | None:
        """What `set_checkpoint` recorded since the watermark last moved."""
        found = self._ask(self._writing, self._checkpoints, "HGET", view)
        return None if found is None else found.decode()

    def set_checkpoint(self, view: str, text: str) -> None:
        """Record how far a publish came."""
        self._ask(self._writing, self._checkpoints, "HSET", view, text)

    # -- between ---------------------------------------------------------------------------------

    def _commands(self, asked: Asked) -> tuple[list[bytes], list[bytes]]:
        # the watermarks first: a publish that ends meanwhile must not make older values look new
        keys = [self._watermarks.encode()]
        commands = [pack("HGETALL", self._watermarks)]
        for plan, some in asked:
            native = plan.native
            assert isinstance(native, _Hmget)  # noqa: S101  # a plan of this store
            head, tail, room = native.head, native.tail, len(self._project)
            commands += [b"%b%d\r\n%b%b" % (head, len(key) + room, key, tail) for key in some]
            keys += some if not self._is_cluster else [key + self._project for key in some]
        return keys, commands

    def _rows(self, asked: Asked, replies: list[Reply]) -> Reading:
        refused(self._address, replies)
        rows, at = [], 1
        for plan, keys in asked:
            width = len(plan.columns)
            some = replies[at : at + len(keys)]
            at += len(keys)
            rows.append([Row(reply[:width], _instants(reply[width:])) for reply in some])
        return Reading(rows, _watermarks(replies[0]))

    def _line(self) -> AsyncConnection | AsyncCluster:
        loop = asyncio.get_running_loop()
        if loop not in self._lines:
            kind = AsyncCluster if self._is_cluster else AsyncConnection
            self._lines[loop] = kind(self._address, self._timeout_s)
        return self._lines[loop]

    def _ask(self, wire: _Wire, key: str, command: str, *words: str) -> Reply:
        packed = pa.array([pack(command, key, *words)], pa.binary())
        replies = wire.exchange(pa.array([key.encode()], pa.binary()), packed)
        refused(self._address, replies)
        return replies[0]

    def _send(
        self, keys: pa.BinaryArray, commands: Callable[[int], pa.BinaryArray]
    ) -> tuple[list[Reply], int]:
        """Replies to a command for each key, made `BATCH` at a time by where they begin; bytes."""
        sizes: list[int] = []

        def parts() -> Iterator[_Part]:
            for at in range(0, len(keys), BATCH):
                packed = commands(at)
                sizes.append(_payload(packed).nbytes)
                yield keys.slice(at, BATCH), packed

        replies = [reply for some in self._writing.stream(parts()) for reply in some]
        refused(self._address, replies)
        return replies, sum(sizes)

    def _not_newer(
        self, view: FeatureView, keys: pa.BinaryArray, event_us: pa.Int64Array
    ) -> npt.NDArray[np.bool_] | None:
        """Which keys hold nothing later than given; None if that is all of them."""
        head, tail = b"*3\r\n$4\r\nHGET\r\n$", literal(b"\r\n" + _bulk(_ts(view)))
        replies, _ = self._send(
            keys, lambda at: join(*_key_pieces(head, keys.slice(at, BATCH)), tail)
        )
        if replies.count(None) == len(replies):
            return None
        stored = np.fromiter(map(_micros, replies), np.int64, len(replies))
        keep = stored <= event_us.to_numpy()
        return None if keep.all() else keep

    def _holding(self, view: FeatureView, keys: list[bytes]) -> list[bytes]:
        commands = [pack("HEXISTS", key, _ts(view)) for key in keys]
        replies = self._writing.exchange(
            pa.array(keys, pa.binary()), pa.array(commands, pa.binary())
        )
        refused(self._address, replies)
        return [key for key, reply in zip(keys, replies, strict=True) if reply]

    def _is_mine(self, key: bytes) -> bool:
        try:
            return split_key(key)[2] == self._project
        except ValueError:
            return False


def _hsets(
    keys: pa.BinaryArray, heads: Sequence[bytes], values: Sequence[pa.BinaryArray]
) -> pa.BinaryArray:
    """One packed HSET a key; a head is what goes before the size of its value."""
    pieces = _key_pieces(b"*%d\r\n$4\r\nHSET\r\n$" % (2 + 2 * len(heads)), keys)
    for head, column in zip(heads, values, strict=True):
        pieces += [literal(b"\r\n" + head), _decimals(column), literal(b"\r\n"), column]
    return join(*pieces, literal(b"\r\n"))


def _field_heads(view: FeatureView) -> list[bytes]:
    fields = [*(redis_field(view.name, f.name) for f in view.features), _ts(view)]
    return [_bulk(field) + b"$" for field in fields]


def _key_pieces(head: bytes, keys: pa.BinaryArray) -> list[pa.Array | pa.Scalar]:
    return [literal(head), _decimals(keys), literal(b"\r\n"), keys]


def _decimals(pieces: pa.BinaryArray) -> pa.BinaryArray:
    """The size of each piece in decimal digits."""
    return pc.binary_length(pieces).cast(pa.string()).cast(pa.binary())


def _payload(commands: pa.BinaryArray) -> memoryview:
    """The commands as they lie in memory, one after the other."""
    _, offsets, data = commands.buffers()
    bounds = np.frombuffer(offsets, np.int32)[commands.offset :][: len(commands) + 1]
    return memoryview(data)[bounds[0] : bounds[-1]] if len(commands) else memoryview(b"")


def _keep(values: pa.Array, keep: npt.NDArray[np.bool_] | None) -> pa.Array:
    return values if keep is None else values.filter(pa.array(keep))


def _bulk(word: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(word), word)


def _ts(view: FeatureView) -> bytes:
    return redis_ts_field(view.name)


def _micros(raw: bytes | None) -> int:
    return NEVER if raw is None else (_instant(raw) - EPOCH) // timedelta(microseconds=1)


def _instants(raw: list[bytes | None]) -> list[datetime | None]:
    return [None if one is None else _instant(one) for one in raw]


def _watermarks(reply: list[bytes]) -> dict[str, Published]:
    pairs = zip(reply[::2], reply[1::2], strict=True)
    return {view.decode(): _published(text) for view, text in pairs}


def _escaped(literally: bytes) -> bytes:
    """Bytes as a scan pattern that matches only them."""
    return re.sub(rb"([\\*?\[\]])", rb"\\\1", literally)
