"""What a batch may see of a store, and what it asks the store to write.

Both stores satisfy ``Ground``; ``ledger.store.absorb`` is the only one who uses it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from ledger.block import Block, Header
    from ledger.chain import Held, Log
    from ledger.fork import ForkProof
    from ledger.statement import Revocation
    from ledger.store.base import Arrival, Floor, LateBody, LogKey, MailRow, MailWhat


class PlacedBlock(NamedTuple):
    """A block to be stored, and the arrival it belongs to."""

    block: Block
    lsn: int


def block_bytes(block: Block) -> int:
    """Return what a block counts for in ``Log.bytes``."""
    return len(block.raw) + len(block.body or b"")


@dataclass(slots=True)
class Changes:
    """What is to be written. Drops come first, puts after.

    A branch block that is put again keeps its serial number. Of ``gone`` logs nothing is left;
    ``heads`` are cut off before a seq.
    """

    gone: list[LogKey] = field(default_factory=list)
    heads: list[tuple[LogKey, int]] = field(default_factory=list)
    floors: dict[LogKey, Floor] = field(default_factory=dict)
    lift: bool = False

    cuts: list[tuple[LogKey, int]] = field(default_factory=list)
    branch_drops: list[tuple[LogKey, bytes]] = field(default_factory=list)
    logs: dict[LogKey, Log] = field(default_factory=dict)
    blocks: list[PlacedBlock] = field(default_factory=list)
    bodies: list[LateBody] = field(default_factory=list)
    branch_puts: list[PlacedBlock] = field(default_factory=list)
    signatures: list[tuple[LogKey, int, bytes]] = field(default_factory=list)
    proofs: list[ForkProof] = field(default_factory=list)
    revocation_drops: list[Revocation] = field(default_factory=list)
    revocations: list[Revocation] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    notes: dict[str, bytes | None] = field(default_factory=dict)
    mail: list[MailRow] = field(default_factory=list)
    mail_drops: list[tuple[MailWhat, bytes]] = field(default_factory=list)


class Ground(Protocol):
    """What a store lets ``Absorption`` see and do inside its transaction."""

    async def load(
        self, keys: Collection[LogKey]
    ) -> tuple[dict[LogKey, Log], dict[bytes, frozenset[bytes]]]:
        """Return the logs held among ``keys``, and the ids held at each author's (log 0, seq 1)."""
        ...

    async def load_whole(self, authors: Collection[bytes]) -> dict[LogKey, Log]:
        """Return all logs held of ``authors``, of each of whom ``load`` was asked for a log."""
        ...

    async def held(self, key: LogKey, low: int, high: int) -> dict[int, Held]:
        """Return what the pieces hold at seq ``low`` .. ``high``."""
        ...

    async def read_all(self, key: LogKey, low: int, high: int) -> list[Block]:
        """Return the blocks of the pieces at seq ``low`` .. ``high``."""
        ...

    async def branch(self, key: LogKey) -> list[Block]:
        """Return the branch blocks of a forked log."""
        ...

    async def bodiless(self, key: LogKey, seqs: Collection[int]) -> dict[int, Header]:
        """Return by seq, of the blocks of the pieces at ``seqs``, those without body."""
        ...

    async def count_bodiless(self, key: LogKey) -> int:
        """Return how many blocks of the pieces are without body."""
        ...

    async def measure(self, key: LogKey) -> int:
        """Return ``block_bytes`` of all that is held of a log."""
        ...

    async def proof(self, key: LogKey) -> ForkProof | None:
        """Return the proof kept of a log."""
        ...

    async def revocations_of(self, person: bytes) -> list[Revocation]:
        """Return the statements held of a person."""
        ...

    async def write(self, changes: Changes) -> None:
        """Carry out ``changes``; visible to the calls above from then on."""
        ...
