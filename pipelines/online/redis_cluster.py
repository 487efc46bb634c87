"""Redis Cluster behind the same two calls as one Redis: each command goes to its key's node.

Redirections (`MOVED`, `ASK`) and a failed node make it ask for the slots again and repeat what was
not done; all commands the stores send can be repeated.
"""

from __future__ import annotations

import asyncio
import binascii
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import hiredis

from pipelines.online.resp import Address, AsyncConnection, Connection, Reply, pack, refused
from pipelines.online.stores import StoreUnavailableError

SLOTS = 16_384
ATTEMPTS = 5
PAUSE_S = 0.1
_ASK_FOR_SLOTS = pack("CLUSTER", "SLOTS")
_ASKING = pack("ASKING")


def slot(key: bytes) -> int:
    """The slot of a key: of the part in its first braces, if it has such a part."""
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    if start >= 0 and end > start + 1:
        key = key[start + 1 : end]
    return binascii.crc_hqx(key, 0) % SLOTS


class _Map:
    """Which node holds which slot, and what is still to be sent where."""

    def __init__(self, seed: Address) -> None:
        self.seed = replace(seed, db=0)
        self._owners: list[Address] = []
        self.stale = True

    @property
    def nodes(self) -> list[Address]:
        return list(dict.fromkeys([*self._owners, self.seed]))

    @property
    def masters(self) -> list[Address]:
        return list(dict.fromkeys(self._owners))

    def learn(self, reply: Reply) -> None:
        """Take in the answer to `CLUSTER SLOTS`.

        Raises:
            StoreUnavailableError: the node is no cluster, or some slots have no node.
        """
        refused(self.seed, [reply])
        owners: list[Address | None] = [None] * SLOTS
        for first, last, master, *_ in reply:
            node = self.at((master[0] or b"").decode(), master[1])
            owners[first : last + 1] = [node] * (last - first + 1)
        known = [owner for owner in owners if owner]
        if len(known) < SLOTS:
            message = f"the Redis cluster at {self.seed.name} leaves slots without a node"
            raise StoreUnavailableError(message, "see `redis-cli --cluster check`")
        self._owners, self.stale = known, False

    def at(self, host: str, port: int) -> Address:
        return replace(self.seed, host=host or self.seed.host, port=port, path="")

    def groups(self, keys: Sequence[bytes], todo: Sequence[int]) -> dict[Address, list[int]]:
        """The commands to do, by the node that holds their key."""
        groups: dict[Address, list[int]] = defaultdict(list)
        for index in todo:
            groups[self._owners[slot(keys[index])]].append(index)
        return groups

    def asked(self, reply: Reply) -> Address | None:
        """The node an `ASK` points to."""
        words = str(reply).split()
        if not isinstance(reply, hiredis.ReplyError) or words[0] != "ASK":
            return None
        host, _, port = words[2].rpartition(":")
        return self.at(host, int(port))


def _again(reply: Reply) -> bool:
    """Whether a reply says to try elsewhere or later."""
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith(
        ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN")
    )


class Cluster:
    """The blocking side; one thread at a time."""

    def __init__(self, seed: Address, timeout_s: float) -> None:
        self._map = _Map(seed)
        self._timeout_s = timeout_s
        self._connections: dict[Address, Connection] = {}

    def connections(self) -> list[Connection]:
        """A connection to each node that holds slots."""
        if self._map.stale:
            self._learn()
        return [self._connection(node) for node in self._map.masters]

    def exchange(self, keys: Sequence[bytes], commands: Sequence[bytes]) -> list[Reply]:
        """The reply to each command, sent to the node of the key beside it.

        Raises:
            StoreUnavailableError: a node does not answer, or redirections do not end.
        """
        replies: list[Reply] = [None] * len(commands)
        todo: list[int] = list(range(len(commands)))
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_S * attempt)
            try:
                if self._map.stale:
                    self._learn()
                self._send(keys, commands, todo, replies)
            except StoreUnavailableError:
                self._map.stale = True
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            todo = [index for index in todo if _again(replies[index])]
            if not todo:
                break
            self._map.stale = True
        return replies

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            connection.close()

    def _send(
        self,
        keys: Sequence[bytes],
        commands: Sequence[bytes],
        todo: Sequence[int],
        replies: list[Reply],
    ) -> None:
        for node, indices in self._map.groups(keys, todo).items():
            data = b"".join([commands[index] for index in indices])
            answers = self._connection(node).exchange(data, len(indices))
            for index, reply in zip(indices, answers, strict=True):
                replies[index] = reply
                if target := self._map.asked(reply):
                    data = _ASKING + commands[index]
                    replies[index] = self._connection(target).exchange(data, 2)[1]

    def _learn(self) -> None:
        error = StoreUnavailableError("no node of the Redis cluster answers")
        for node in self._map.nodes:
            try:
                self._map.learn(self._connection(node).exchange(_ASK_FOR_SLOTS, 1)[0])
            except StoreUnavailableError as failed:
                error = failed
            else:
                return
        raise error

    def _connection(self, node: Address) -> Connection:
        if node not in self._connections:
            self._connections[node] = Connection(node, self._timeout_s)
        return self._connections[node]


class AsyncCluster:
    """The side of the event loop; requests may overlap."""

    def __init__(self, seed: Address, timeout_s: float) -> None:
        self._map = _Map(seed)
        self._timeout_s = timeout_s
        self._connections: dict[Address, AsyncConnection] = {}

    async def exchange(self, keys: Sequence[bytes], commands: Sequence[bytes]) -> list[Reply]:
        """The reply to each command, sent to the node of the key beside it.

        Raises:
            StoreUnavailableError: a node does not answer, or redirections do not end.
        """
        replies: list[Reply] = [None] * len(commands)
        todo: list[int] = list(range(len(commands)))
        try:
            async with asyncio.timeout(self._timeout_s):
                while todo:
                    if self._map.stale:
                        await self._learn()
                    groups = self._map.groups(keys, todo).items()
                    await asyncio.gather(*(self._ask(n, i, commands, replies) for n, i in groups))
                    todo = [index for index in todo if _again(replies[index])]
                    if todo:
                        self._map.stale = True
                        await asyncio.sleep(PAUSE_S)
        except TimeoutError as error:
            self._map.stale = True
            message = f"the Redis cluster at {self._map.seed.name} did not answer in time"
            raise StoreUnavailableError(message, "see `redis-cli --cluster check`") from error
        except StoreUnavailableError:
            self._map.stale = True
            raise
        return replies

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            connection.close()

    async def _ask(
        self, node: Address, indices: list[int], commands: Sequence[bytes], replies: list[Reply]
    ) -> None:
        data = b"".join([commands[index] for index in indices])
        answers = await self._connection(node).exchange(data, len(indices))
        for index, reply in zip(indices, answers, strict=True):
            replies[index] = reply
            if target := self._map.asked(reply):
                line = self._connection(target)
                replies[index] = (await line.exchange(_ASKING + commands[index], 2))[1]

    async def _learn(self) -> None:
        error = StoreUnavailableError("no node of the Redis cluster answers")
        for node in self._map.nodes:
            try:
                self._map.learn((await self._connection(node).exchange(_ASK_FOR_SLOTS, 1))[0])
            except StoreUnavailableError as failed:
                error = failed
            else:
                return
        raise error

    def _connection(self, node: Address) -> AsyncConnection:
        if node not in self._connections:
            self._connections[node] = AsyncConnection(node, self._timeout_s)
        return self._connections[node]
