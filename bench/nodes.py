"""Nodes to meet: a store, and what is known of it in memory."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from gossip.catalogue import Changes
from gossip.cursor import Seen, run_name
from gossip.policy import Peer, Policy
from ledger.chain import Log, Piece
from ledger.run import Run
from ledger.store.base import Batch, Newest, StoreRun
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore
from mesh.holdings import Holdings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from ledger.block import Block
    from ledger.store.base import LogKey, Store

_LEFT: Final = sha256(b"left").digest()
_RIGHT: Final = sha256(b"right").digest()
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Node:
    """A device that meets another.

    Attributes:
        store: Its blocks.
        holdings: The same in short.
        seen: What it processed of the other's store.
    """

    store: Store
    holdings: Holdings
    seen: Seen | None = None

    @property
    def peer(self) -> Peer:
        """Who it is for the other."""
        return Peer(self.holdings.policy.device, self.holdings.policy.person)


def policy(*, is_left: bool) -> Policy:
    """Return what a device wants that takes everything and follows nobody."""
    device = _LEFT if is_left else _RIGHT
    return Policy(device, sha256(device).digest())


@asynccontextmanager
async def on_disk(path: Path, *, is_left: bool) -> AsyncIterator[Node]:
    """Open a new store in a file, or the one that is there."""
    store = await SqliteStore.open(path, new_run=lambda: os.urandom(8))
    try:
        yield Node(store, await Holdings.open(store, policy(is_left=is_left)))
    finally:
        await store.close()


async def in_memory(blocks: Iterable[Sequence[Block]], *, is_left: bool) -> Node:
    """Return a node that holds ``blocks``, each sequence a run."""
    store = MemoryStore(new_run=lambda: os.urandom(8))
    node = Node(store, await Holdings.open(store, policy(is_left=is_left)))
    await fill(node, blocks)
    return node


async def fill(node: Node, runs: Iterable[Sequence[Block]]) -> None:
    """Take blocks into a node's store, unchecked, each sequence a run."""
    waiting = [Run(tuple(blocks)) for blocks in runs]
    for at in range(0, len(waiting), _AT_ONCE):
        batch = Batch(runs=waiting[at : at + _AT_ONCE])
        await node.holdings.absorb(batch, seen=0, durable=False)


def made_up(logs: int) -> tuple[Node, Node]:
    """Return two nodes that stand alike: logs without blocks, straight into the catalogue.

    Each is a contact who has processed all of the other's. A meeting in which nothing changed
    never touches the store, so none of it is there.
    """
    held = dict(map(_made_up, range(logs)))
    newest = {key: Newest(lsn, 0) for lsn, key in enumerate(held, 1)}
    runs = {left: sha256(b"run %d" % left).digest()[:8] for left in (False, True)}
    nodes: list[Node] = []
    for is_left in (True, False):
        store = MemoryStore()
        holdings = Holdings(store, policy(is_left=is_left))
        run = StoreRun(runs[is_left], 1, logs)
        holdings.catalogue.learn(Changes(logs=held, newest=newest, runs=[run]))
        nodes.append(Node(store, holdings, _seen(runs[not is_left], logs)))
    return nodes[0], nodes[1]


def _made_up(number: int) -> tuple[LogKey, Log]:
    author = sha256(b"author %d" % number).digest()
    piece = Piece(1, number % 90 + 1, bytes(32), sha256(author).digest())
    return (author, 0), Log(author, 0, pieces=(piece,))


def with_seen(left: Node, right: Node) -> tuple[Node, Node]:
    """Return two nodes as contacts that processed all of each other's."""
    return replace(left, seen=seen_of(right)), replace(right, seen=seen_of(left))


def seen_of(node: Node) -> Seen:
    """Return what one who processed all that ``node`` holds now has seen."""
    return _seen(node.holdings.catalogue.run, node.holdings.catalogue.lsn)


def _seen(run: bytes, lsn: int) -> Seen:
    """Return what was seen of a node that offers the same to all."""
    offers = policy(is_left=True).offers(None, frozenset())
    return Seen(run_name(run, offers), ((1, lsn),))
