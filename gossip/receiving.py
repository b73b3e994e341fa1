"""Blocks and evidence as they come: only what was asked for, and only what holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gossip.control import MAX_EVIDENCE, Mode
from gossip.policy import REST_CLASS
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
    from gossip.wanted import Wanted
    from gossip.wire import Bulk, RawRun
    from ledger.block import Header
    from ledger.store.base import LateBody, LogKey


_EVIDENCE: Final = 1 << Mode.EVIDENCE
_BLOCKS: Final = sum(
    1 << mode for mode in (Mode.FROM, Mode.NEWEST, Mode.HEADERS, Mode.BODIES, Mode.BRANCHES)
)


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
        self._evidence = 0

    def receive(self, message: Bulk) -> list[Wanted]:
        """Take a message; return the logs of which it brought what was asked for.

        Raises:
            ProtocolError: Something in it is invalid, or too much of it was never asked for.
        """
        found: list[Wanted | None] = []
        try:
            match message:
                case Data(runs):
                    found = [self._run(run) for run in runs]
                case Bodies(bodies):
                    found = [self._body(late) for late in bodies]
                case Statements(statements):
                    found = [self._statement(*statement) for statement in statements]
                case Proofs(proofs):
                    found = [self._proof(proof) for proof in proofs]
        except InvalidError as exc:
            raise ProtocolError(str(exc)) from exc
        return [wanted for wanted in found if wanted is not None]

    def _asked(self, key: LogKey, modes: int, count: int = 1) -> Wanted | None:
        """Return the log, if any of ``modes`` was ever asked of it; else count what came."""
        wanted = self._told.by_key.get(key)
        if wanted is not None and wanted.ever & modes:
            return wanted
        self._refuse(count)
        return None

    def _refuse(self, count: int) -> None:
        self._unwanted += count
        if self._unwanted > self._talk.setting.policy.limits.unwanted:
            raise ProtocolError("blocks that nobody asked for")

    def _run(self, run: RawRun) -> Wanted | None:
        """Verify a run, which costs a signature, only if its log was asked for."""
        self._talk.counts.blocks_in += len(run.blocks)
        header = decode_header(run.blocks[0][0])
        wanted = self._asked((header.author, header.log), _BLOCKS, len(run.blocks))
        if wanted is not None:
            self._weigh(run, header)
            hops = min(run.hops + 1, MAX_HOPS)
            verified = verify_run(run.blocks, self._talk.setting.verify, hops, header)
            self._inbox.add(run=verified)
        return wanted

    def _weigh(self, run: RawRun, header: Header) -> None:
        """Count what a stranger wrote against this link's part of the strangers' room."""
        setting, author = self._talk.setting, header.author
        if setting.room is None:
            return
        if setting.catalogue.rank((author, header.log)) == REST_CLASS:
            size = sum(len(raw) + len(body or b"") for raw, _, body in run.blocks)
            setting.room.take((author, header.log), self._talk.link, size, self._talk.now)

    def _body(self, late: LateBody) -> Wanted | None:
        wanted = self._asked((late.author, late.log), _BLOCKS)
        if wanted is not None:
            self._inbox.add(bodies=(late,))
        return wanted

    def _statement(self, raw: bytes, signature: bytes) -> Wanted | None:
        if not self._has_room():
            return None
        setting = self._talk.setting
        revocation = decode_revocation(raw, signature, setting.verify)
        wanted = self._asked((revocation.device, 0), _EVIDENCE)
        if wanted is None:
            return None
        if setting.catalogue.may_revoke(revocation.person, revocation.device):
            self._inbox.add(revocation=revocation)
        else:  # it may, once it is known that the device began twice
            wanted.is_put_off = True
        return wanted

    def _proof(self, raw: bytes) -> Wanted | None:
        if not self._has_room():
            return None
        proof = decode_proof(raw, self._talk.setting.verify)
        wanted = self._asked((proof.author, proof.log), _EVIDENCE)
        if wanted is not None:
            self._inbox.add(proof=proof)
        return wanted

    def _has_room(self) -> bool:
        """Count a piece of evidence, before it costs a signature."""
        self._evidence += 1
        if self._evidence > MAX_EVIDENCE:
            self._refuse(1)
        return self._evidence <= MAX_EVIDENCE
