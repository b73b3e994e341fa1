"""How two sides of a session find out, inside of it, whether they know each other.

    initiator: tags || shown      responder: proof || shown      initiator: proof

A tag is what only the two who share a pair key can make, for this session alone; who shares none
sees random bytes, and sends random bytes. Each step is of the same size and costs the same work
whether anybody is recognised or not.

A ticket that both used names the other side already, and the responder has proven that it is the
one. Then only the initiator still proves that it is there now, in a few bytes.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nacl import bindings
from nacl.exceptions import CryptoError

from transports.opening import NETWORK, HandshakeError, context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from transports.opening import Agreed
    from transports.tickets import Tickets

KEY_BYTES: Final = 32
TAG_BYTES: Final = 8
TAGS_STEP: Final = 64
MAX_NAMES: Final = 4_096
SIGNATURE_BYTES: Final = 64
SHOWN_BYTES: Final = KEY_BYTES + SIGNATURE_BYTES
PROOF_BYTES: Final = 32
SHORT_PROOF_BYTES: Final = 16
"""After a ticket: it is said in a session that nobody else can be in."""
ANSWER_BYTES: Final = PROOF_BYTES + SHOWN_BYTES
_NOTHING: Final = bytes(SHOWN_BYTES)


@dataclass(frozen=True, slots=True)
class Shown:
    """A device that shows everybody which one it is.

    Attributes:
        device: Its Ed25519 public key.
        sign: Returns its signature of 64 bytes over a message.
    """

    device: bytes
    sign: Callable[[bytes], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """By what this side recognises others and is recognised.

    Attributes:
        name: How the others call this side: its device key.
        pair_keys: 32 secret bytes that this side shares with each other name; at most 4,096.
        tickets: Where tickets are kept.
        shown: What everybody is shown, or None.
        network: Name of the network.

    Raises:
        ValueError: Too many names, or a key of another length.
    """

    name: bytes
    pair_keys: Mapping[bytes, bytes] = field(repr=False)
    tickets: Tickets
    shown: Shown | None = None
    network: str = NETWORK

    def __post_init__(self) -> None:
        if len(self.pair_keys) > MAX_NAMES:
            raise ValueError(f"{len(self.pair_keys)} names where {MAX_NAMES} can be recognised")
        if any(len(key) != KEY_BYTES for key in self.pair_keys.values()):
            raise ValueError(f"a pair key has {KEY_BYTES} bytes")


class Recognition:
    """One side's part of it.

    The initiator calls ``ask`` and ``confirm``, the other ``answer`` and ``finish``. Where
    ``is_resumed``, the initiator calls ``vouch`` and the other ``believe``, and that is all.

    Args:
        agreed: What the two messages came to.
        who: By what this side recognises and is recognised.
        random: Gives so many random bytes.

    Attributes:
        peer: The name of the other side once it is recognised, or None.
        shown: The device key that it showed and signed with, or None.
    """

    __slots__ = (
        "_agreed",
        "_key",
        "_matched",
        "_named",
        "_pairs",
        "_random",
        "_who",
        "peer",
        "shown",
    )

    def __init__(self, agreed: Agreed, who: Credentials, random: Callable[[int], bytes]) -> None:
        self._agreed = agreed
        self._who = who
        self._random = random
        self._named = None if agreed.ticket is None else agreed.ticket.name
        self._pairs = who.pair_keys
        # Where nobody matches, a key that nobody has takes the place of his: the work is the same.
        self._key = random(KEY_BYTES)
        self._matched: bytes | None = None
        self.peer: bytes | None = None
        self.shown: bytes | None = None

    def ask(self) -> bytes:
        """Return the initiator's first message."""
        own = self._who.name
        tags = [self._mac(key, "tag", own)[:TAG_BYTES] for key in self._pairs.values()]
        many = max(1, -(-len(self._pairs) // TAGS_STEP)) * TAGS_STEP
        spare = self._random((many - len(tags)) * TAG_BYTES)
        tags += [spare[at : at + TAG_BYTES] for at in range(0, len(spare), TAG_BYTES)]
        return b"".join(sorted(tags)) + self._show()  # all look random: sorting says nothing

    def answer(self, asked: bytes) -> bytes:
        """Return the responder's message to the initiator's first.

        Raises:
            HandshakeError: What was shown does not hold. No other exception leaves this function.
        """
        at = len(asked) - SHOWN_BYTES
        self._see(asked[at:])
        names = {self._mac(key, "tag", name)[:TAG_BYTES]: name for name, key in self._pairs.items()}
        for start in range(0, at, TAG_BYTES):
            if (name := names.get(asked[start : start + TAG_BYTES])) is not None:
                self._matched = name
        if self._matched is not None:
            self._key = self._pairs[self._matched]
        return self._mac(self._key, "r", self._who.name) + self._show()

    def confirm(self, answered: bytes) -> bytes:
        """Return the initiator's last message.

        Raises:
            HandshakeError: What was shown does not hold.
        """
        proof = answered[:PROOF_BYTES]
        self._see(answered[PROOF_BYTES:])
        for name, key in self._pairs.items():
            if hmac.compare_digest(self._mac(key, "r", name), proof):
                self.peer, self._key = name, key
        return self._mac(self._key, "i", self._who.name)

    def finish(self, confirmed: bytes) -> None:
        """Take the initiator's last message: from now on ``peer`` says who it is."""
        expected = self._mac(self._key, "i", self._matched or self._who.name)
        if hmac.compare_digest(expected, confirmed):
            self.peer = self._matched

    @property
    def is_resumed(self) -> bool:
        """Whether both sides used a ticket that names the other one."""
        return self._named is not None

    def vouch(self) -> bytes:
        """Return all that the initiator says after a ticket; it has recognised the responder."""
        self.peer = self._still_known()
        return self._mac(self._key, "i", self._who.name)[:SHORT_PROOF_BYTES]

    def believe(self, vouched: bytes) -> None:
        """Take what ``vouch`` returned; message 1 may have been sent again by anybody."""
        name = self._still_known()
        expected = self._mac(self._key, "i", name or self._who.name)[:SHORT_PROOF_BYTES]
        if hmac.compare_digest(expected, vouched):
            self.peer = name

    def _still_known(self) -> bytes | None:
        if self._named is None or self._named not in self._pairs:
            return None
        self._key = self._pairs[self._named]
        return self._named

    def _mac(self, key: bytes, what: str, speaker: bytes) -> bytes:
        # The speaker's name is in it, or a device that is led to itself would take itself for
        # one of its contacts: both ends of such a session know all keys.
        said = context(what, self._who.network) + self._agreed.keys.hash + speaker
        return hmac.digest(key, said, "sha256")

    def _show(self) -> bytes:
        if (shown := self._who.shown) is None:
            return _NOTHING
        return shown.device + shown.sign(context("noise", self._who.network) + self._agreed.own)

    def _see(self, shown: bytes) -> None:
        if shown == _NOTHING:
            return
        device, signature = shown[:KEY_BYTES], shown[KEY_BYTES:]
        message = context("noise", self._who.network) + self._agreed.remote
        try:
            bindings.crypto_sign_open(signature + message, device)
        except CryptoError:
            raise HandshakeError("the other side shows a device key that is not its own") from None
        self.shown = device


# --- the three messages, cut to what a record takes -----------------------------------------------

ASK: Final = 1
ANSWER: Final = 2
CONFIRM: Final = 3
PIECE_HEAD_BYTES: Final = 5
MAX_PIECES: Final = 512
_STRANGE: Final = "the other side says something else where it should say who it is"


def pieces(step: int, message: bytes, room: int) -> list[bytes]:
    """Cut a message into pieces of at most ``room`` bytes."""
    head, most = bytes([step]) + len(message).to_bytes(2, "big"), room - PIECE_HEAD_BYTES
    return [
        head + at.to_bytes(2, "big") + message[at : at + most]
        for at in range(0, len(message), most)
    ]


class Gathering:
    """Pieces of one message as they come, in any order, some of them twice."""

    __slots__ = ("_pieces", "step")

    def __init__(self, step: int) -> None:
        self.step = step
        self._pieces: dict[int, bytes] = {}

    def add(self, piece: bytes) -> bytes | None:
        """Take a piece; return the message when it is whole.

        Raises:
            HandshakeError: It is no piece of that step's message. No other exception leaves this
                function.
        """
        total, at = int.from_bytes(piece[1:3], "big"), int.from_bytes(piece[3:5], "big")
        said = piece[PIECE_HEAD_BYTES:]
        fits = said and at + len(said) <= total and _may_have(self.step, total)
        if not fits or piece[0] != self.step or len(self._pieces) >= MAX_PIECES:
            raise HandshakeError(_STRANGE)
        self._pieces.setdefault(at, said)
        return self._whole(total)

    def _whole(self, total: int) -> bytes | None:
        whole = b""
        if sum(map(len, self._pieces.values())) < total:
            return None
        for at, said in sorted(self._pieces.items()):
            if at != len(whole):
                raise HandshakeError(_STRANGE)
            whole += said
        if len(whole) != total:
            raise HandshakeError(_STRANGE)
        return whole


def _may_have(step: int, total: int) -> bool:
    if step == ASK:
        tags, rest = divmod(total - SHOWN_BYTES, TAGS_STEP * TAG_BYTES)
        return rest == 0 and 1 <= tags <= MAX_NAMES // TAGS_STEP
    return total == (ANSWER_BYTES if step == ANSWER else PROOF_BYTES)
