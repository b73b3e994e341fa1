"""Letters that people send each other, and nodes that carry them."""

import os
from dataclasses import asdict
from itertools import count
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

from gossip.carried import MailChanges
from gossip.envelope import Envelope, Parcel, Receipt, decode_envelope, encode_envelope
from gossip.mail import Mail
from gossip.mail_room import MailLimits
from gossip.postal import Envelopes, Offers, Tokens
from gossip.wire import Message
from ledger.store.base import MailRow, MailWhat
from tests.gossip.meetings import Meeting, Node, now_run
from tests.strategies import material

M = TypeVar("M", bound=Message)
DAY_MIN = 24 * 60
ME, ALICE, BOB = (material(name) for name in ("this node", "alice's device", "bob's device"))
RUN = b"run!"
DICE = os.environ.get("PASSALONG_DICE", "")
"""What the dice of meetings come from: a test of mail must pass with any."""
MOST_MEETINGS = 10_000
"""Of one story."""
stories = st.integers(0, 99)
"""Dice of a story that hypothesis tells: told again it goes the same way."""
_meetings = count(1)


def forget_meetings(story: int = 0) -> None:
    """Begin to count meetings anew, so that no dice depend on what was told before.

    Args:
        story: Other dice for each.
    """
    global _meetings  # noqa: PLW0603
    _meetings = count(MOST_MEETINGS * story + 1)


class Letter(NamedTuple):
    """What its writer knows of an envelope."""

    tag: bytes
    token: bytes
    envelope: Envelope

    @property
    def id(self) -> bytes:
        return self.envelope.id


def letter(number: int, *, size: int = 100, tag: bytes | None = None) -> Letter:
    """Return a letter; each number gives another."""
    tag = material(f"tag {number}", 16) if tag is None else tag
    token = material(f"token {number}", 16)
    said = (material(f"ciphertext {number}") * (size // 32 + 1))[:size]
    return Letter(tag, token, decode_envelope(encode_envelope(tag, token, said)))


def poisoned(true: Letter, number: int = 0) -> Letter:
    """Return what looks like ``true`` from outside, and is not."""
    fields = encode_envelope(true.tag, true.token, material(f"poison {number}") * 3)
    return Letter(true.tag, true.token, decode_envelope(fields))


def parcel(one: Letter, hops: int = 8, life: int = DAY_MIN, copies: int = 0) -> Parcel:
    return Parcel(one.envelope.raw, hops, life, copies)


def receipt(one: Letter, life: int = DAY_MIN) -> Receipt:
    return Receipt(one.tag, one.token, life)


def make_mail(**limits: Any) -> Mail:  # noqa: ANN401
    return Mail(ME, RUN, MailLimits(**limits))


def taken(mail: Mail, one: Letter, depositor: bytes = ALICE, **how: Any) -> MailChanges:  # noqa: ANN401
    """Have ``mail`` take a letter that a peer brought, and store it."""
    now = how.pop("now", 0.0)
    changes = mail.take(one.envelope, parcel(one, **how), depositor, now)
    mail.stored(changes.puts)
    return changes


# --- nodes --------------------------------------------------------------------------------------


def carriers(count_: int, **limits: Any) -> list[Node]:  # noqa: ANN401
    """Return nodes that carry mail, of which no two have the same number."""
    nodes = [Node(number) for number in range(1, count_ + 1)]
    for node in nodes:
        node.carry_mail(**limits)
    return nodes


def mail_of(node: Node) -> Mail:
    assert node.mail is not None
    return node.mail


def post(node: Node, *letters: Letter, hops: int = 8, life: int = DAY_MIN, now: float = 0) -> None:
    """Have a node's person send letters."""
    for one in letters:
        node.keep_mail(mail_of(node).deposit(one.envelope, hops, life, now))


def bring(
    node: Node,
    *letters: Letter,
    depositor: bytes = ALICE,
    **how: Any,  # noqa: ANN401
) -> None:
    """Have a node take letters somebody brought in a meeting that is over."""
    now = how.pop("now", 0.0)
    for one in letters:
        node.keep_mail(mail_of(node).take(one.envelope, parcel(one, **how), depositor, now))


def reads(node: Node, *letters: Letter) -> None:
    """Have a node come to read by the tags of letters; meetings that are open hear of it."""
    held = mail_of(node).expect(one.tag for one in letters)
    for raw in now_run(node.store.envelopes(held)):
        node.keep_mail(mail_of(node).found(decode_envelope(raw)))


def release(node: Node, one: Letter, now: float = 0) -> None:
    """Have a node's person read a letter."""
    node.keep_mail(mail_of(node).release(one.tag, one.token, now))


def gather(left: Node, right: Node, now: float = 0.0, **how: Any) -> Meeting:  # noqa: ANN401
    """Begin a meeting, as nobody met before in this test."""
    dice = material(f"mail meeting {next(_meetings)}{DICE}")
    meeting = Meeting(left, right, binding=dice, **how)
    meeting.now = now
    return meeting


def meet_by_mail(left: Node, right: Node, **how: Any) -> Meeting:  # noqa: ANN401
    return gather(left, right, **how).run()


def sever(meeting: Meeting) -> None:
    """Let the link die; each side stores what came."""
    meeting._sever()
    meeting.settle()


def said(meeting: Meeting, side: int, kind: type[M]) -> list[M]:
    """Return what one side sent of one sort."""
    return [message for message in meeting.messages(side) if isinstance(message, kind)]


def went(meeting: Meeting, side: int) -> list[bytes]:
    """Return the ids of the envelopes that one side sent, each as often as it went."""
    return [
        decode_envelope(one.raw).id
        for message in said(meeting, side, Envelopes)
        for one in message.parcels
    ]


def told(meeting: Meeting, side: int) -> list[bytes]:
    """Return the tokens that one side told."""
    return [one.token for message in said(meeting, side, Tokens) for one in message.receipts]


def rows_in(meeting: Meeting, side: int) -> int:
    """Return how many rows of mail one side offered."""
    return sum(message.count for message in said(meeting, side, Offers))


def rows(node: Node, what: MailWhat) -> list[MailRow]:
    """Return what a node's store holds of one sort."""
    return [row for row in now_run(node.store.mail()) if row.what is what]


def restart(node: Node) -> Mail:
    """Have a node carry what its store holds, as after a restart."""
    old = mail_of(node)
    mail = node.carry_mail(**asdict(old.limits))
    mail.reads |= old.reads
    held = now_run(node.store.mail())
    idents = [row.ident for row in held if row.what is MailWhat.CARRIED]
    contents = now_run(node.store.envelopes(idents))
    mail.load(held, dict(zip(idents, map(len, contents), strict=True)))
    return mail
