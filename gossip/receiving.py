"""Blocks and evidence as they come: only what was asked for, and only what holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gossip.control import Mode
from gossip.talk import ProtocolError
from gossip.wire import MAX_HOPS, Bodies, Data, Proofs, Statements
from ledger.block import decode_header
from ledger.errors import InvalidError
from ledger.fork import decode_proof
from ledger.run import verify_run
from ledger.statement import decode_revocation

if TYPE_CHECKING:
    from gossip.inbox import Inbox
    from gossip.talk import Talk
    from gossip.told import Told
    from gossip.wire import Bulk, RawRun
    from ledger.store.base import LogKey


_BLOCKS: Final = frozenset({Mode.FROM, Mode.NEWEST, Mode.HEADERS, Mode.BODIES, Mode.BRANCHES})


class Receiving:
    """Checks what comes and gathers it in the inbox.

    Args:
        talk: The session's surroundings.
        told: What was asked for.
        inbox: Where it goes.
    """

    def __init__(self, talk: Talk, told: Told, inbox: Inbox) -> None:
        self._talk = talk
        self._told = told
        self._inbox = inbox
        self._unwanted = 0
        self._statements = 0
        self._proofs = 0

    def receive(self, message: Bulk) -> bool:
        """Take a message; say whether anything in it was asked for.

        Raises:
            ProtocolError: Something in it is invalid, or too much of it was never asked for.
        """
        try:
            match message:
                case Data(runs):
                    return sum(map(self._run, runs)) > 0
                case Bodies(bodies):
                    wanted = [late for late in bodies if self._is_asked((late.author, late.log))]
                    self._inbox.add(bodies=wanted)
                    self._refuse(len(bodies) - len(wanted))
                    return bool(wanted)
                case Statements(statements):
                    return sum(self._statement(*statement) for statement in statements) > 0
                case Proofs(proofs):
                    return sum(map(self._proof, proofs)) > 0
        except InvalidError as exc:
            raise ProtocolError(str(exc)) from exc

    def _is_asked(self, key: LogKey, mode: Mode | None = None) -> bool:
        wanted = self._told.by_key.get(key)
        if wanted is None:
            return False
        return not wanted.ever.isdisjoint(_BLOCKS) if mode is None else mode in wanted.ever

    def _refuse(self, count: int) -> None:
        self._unwanted += count
        if self._unwanted > self._talk.setting.policy.limits.unwanted:
            raise ProtocolError("blocks that nobody asked for")

    def _run(self, run: RawRun) -> bool:
        """Verify a run, which costs a signature, only if its log was asked for."""
        counts = self._talk.counts
        counts.blocks_in += len(run.blocks)
        header = decode_header(run.blocks[0][0])
        if not self._is_asked((header.author, header.log)):
            self._refuse(len(run.blocks))
            return False
        hops = min(run.hops + 1, MAX_HOPS)
        self._inbox.add(run=verify_run(run.blocks, self._talk.setting.verify, hops))
        return True

    def _statement(self, raw: bytes, signature: bytes) -> bool:
        setting = self._talk.setting
        self._statements += 1
        if self._statements > setting.policy.limits.evidence:
            self._refuse(1)
            return False
        revocation = decode_revocation(raw, signature, setting.verify)
        if not self._is_asked((revocation.device, 0), Mode.EVIDENCE):
            self._refuse(1)
            return False
        if setting.catalogue.may_revoke(revocation.person, revocation.device):
            self._inbox.add(revocation=revocation)
        return True

    def _proof(self, raw: bytes) -> bool:
        setting = self._talk.setting
        self._proofs += 1
        if self._proofs > setting.policy.limits.evidence:
            self._refuse(1)
            return False
        proof = decode_proof(raw, setting.verify)
        if not self._is_asked((proof.author, proof.log), Mode.EVIDENCE):
            self._refuse(1)
            return False
        self._inbox.add(proof=proof)
        return True
