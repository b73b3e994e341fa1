"""What many nodes hold is held once, and what was checked once is not checked again.

A thousand nodes in one process that hold the same block need the memory of one, and Ed25519 gives
the same verdict about the same bytes however often it is asked. Nothing else is shortened.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from ledger.keys import verify
from ledger.run import Run

if TYPE_CHECKING:
    from ledger.block import Block
    from ledger.chain import Log
    from ledger.store.base import LogKey


class Commons:
    """What the nodes of one world share.

    Attributes:
        verified: Signatures that were really checked.
    """

    def __init__(self) -> None:
        self.verified = 0
        self._verdicts: dict[bytes, bool] = {}
        self._blocks: dict[tuple[bytes, bytes, bool], Block] = {}
        self._logs: dict[tuple[Log, int], Log] = {}
        self._keys: dict[LogKey, LogKey] = {}

    def verify(self, public: bytes, message: bytes, signature: bytes) -> bool:
        """Say what ``ledger.keys.verify`` says."""
        asked = sha256(b"%b%b%b" % (signature, public, message)).digest()
        verdict = self._verdicts.get(asked)
        if verdict is None:
            self.verified += 1
            verdict = self._verdicts[asked] = verify(public, message, signature)
        return verdict

    def block(self, block: Block) -> Block:
        """Return the one ``Block`` equal to ``block``."""
        return self._blocks.setdefault((block.id, block.signature, block.body is None), block)

    def run(self, run: Run) -> Run:
        """Return an equal run of shared blocks."""
        return Run(tuple(map(self.block, run.blocks)), run.hops)

    def log(self, log: Log) -> Log:
        """Return the one ``Log`` equal to ``log`` that takes as much."""
        return self._logs.setdefault((log, log.bytes), log)

    def key(self, key: LogKey) -> LogKey:
        """Return the one key equal to ``key``."""
        return self._keys.setdefault(key, key)
