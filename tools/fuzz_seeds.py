"""What a fuzzer starts from: for each target, inputs that are accepted."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from mnemonic import Mnemonic

from gossip.bundle_header import End, Row, SealedHeader
from gossip.bundle_open import BundleWriter
from gossip.cursor import Seen
from gossip.envelope import (
    MAX_CIPHERTEXT_BYTES,
    MAX_LIFE_MIN,
    Parcel,
    Piece,
    Receipt,
    encode_envelope,
)
from gossip.frontier import FrontierEntry
from gossip.postal import (
    ROW_BYTES,
    TOKEN_NAME_BYTES,
    Envelopes,
    Leave,
    Offers,
    Pieces,
    Take,
    Tokens,
    Why,
)
from gossip.sealing import SLOT_BYTES, STREAM_BYTES, Start
from gossip.sim.trace import HEADER
from gossip.wire import Bodies, Data, Proofs, RawRun, Statements, encode_message
from ledger.block import MAX_LOG, MAX_SEQ, ZEROS, Block, Counterparty, Header, encode_header
from ledger.codec import encode
from ledger.fork import ForkProof, Vouched
from ledger.kinds.body import MAX_TIME, Reference
from ledger.kinds.device import Device
from ledger.kinds.half import KIND as WITHDRAW
from ledger.kinds.half import AgreementBody, WithdrawalBody
from ledger.kinds.post import Attachment, Post
from ledger.kinds.profile import Profile
from ledger.link import SCHEME, Link
from ledger.statement import MAX_CUTS, Cut, Revocation
from ledger.store.base import LateBody
from tests.strategies import (
    GROUP,
    IDENTITY,
    SOCIAL,
    device_keys,
    forked,
    items,
    make_block,
    make_body,
    material,
    person_key,
    run_of,
    written,
)
from tests.strategies import Device as Writer
from tools.fuzz_readers import WRITER, beginning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.codec import Value
    from ledger.run import RawBlock

_ID: Final = material("a block")
_OTHER: Final = material("another block")
_SALT: Final = material("a salt", 16)
_SIGNATURE: Final = material("a signature", 64)
_TIME: Final = 1_700_000_000_000
_REFERENCE: Final = Reference(device_keys(2).public, SOCIAL, 3, _ID)
_ATTACHMENT: Final = Attachment(_ID, 12_345, "image/png", "a picture.png")
_REST: Final[tuple[Value, ...]] = (None, 7, [b"later", "still later"])
WORD_LIST: Final[Sequence[str]] = Mnemonic("english").wordlist


def codec() -> list[bytes]:
    """Return values of every sort, with every length of head."""
    numbers = (0, 23, 24, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, (1 << 64) - 1, -1, -500)
    values: list[object] = [
        *(None, "", "caf\u00e9 \U0001f600", b"", bytes(24), bytes(256), "a" * 256),
        *([], [[[[[[[[]]]]]]]], list(numbers), [0] * 24, [None] * 256, [1, ["a", b"b", None]]),
        *numbers,
    ]
    return [encode(value) for value in values]


def header() -> list[bytes]:
    """Return headers of every form, the longest among them."""
    return [encode_header(header) for header in _headers()]


def _headers() -> list[Header]:
    author = device_keys().public
    proposal, agreement = Counterparty(ZEROS, ZEROS), Counterparty(_ID, _OTHER)
    return [
        Header(author, IDENTITY, 1, ZEROS, None, "device", _ID, 200),
        Header(author, SOCIAL, 1, _ID, None, "post", _OTHER, 30),
        Header(author, SOCIAL, 64, _ID, None, "post", _OTHER, 0, b"ext"),
        Header(author, IDENTITY, 500, _ID, proposal, "loan/1", _OTHER, 300),
        Header(author, IDENTITY, 70_000, _ID, agreement, "loan/1", _OTHER, 16_384),
        Header(author, MAX_LOG, MAX_SEQ, _ID, agreement, "k" * 32, _OTHER, 16_384, _ID),
    ]


def run() -> list[bytes]:
    """Return runs as they travel in DATA: short, long, without bodies, of two people."""
    return [
        _data(written(1)),
        _data(written(3)),
        _data(written(2), written(2, IDENTITY, 1), written(1, GROUP, 2)),
        _data([block._replace(body=None) for block in written(12)]),
        _data(written(66, text="")[60:]),
        _data(_half_blocks()),
    ]


def relinked_run() -> list[bytes]:
    """Return runs in which each header but a run's first lacks what the one before demands."""
    tall = [_at_the_top(seq) for seq in (MAX_SEQ - 2, MAX_SEQ - 1, MAX_SEQ)]
    runs = [written(2), written(8), written(66)[60:], _half_blocks(), tall]
    return [encode_message(Data([RawRun(_without_beginnings(blocks), 1)])) for blocks in runs]


def _data(*runs: Sequence[Block]) -> bytes:
    return encode_message(Data([RawRun(items(blocks), hops) for hops, blocks in enumerate(runs)]))


@cache
def _half_blocks() -> Sequence[Block]:
    writer = Writer(4)
    writer.write(log=IDENTITY, kind="loan/1", counterparty=Counterparty(_ID, ZEROS))
    said = AgreementBody(_TIME, Reference(device_keys(1).public, 0, 5, _OTHER), 9)
    answer = Counterparty(person_key(1).signing.public, _OTHER)
    body = said.encode(_SALT)
    writer.write(log=IDENTITY, kind="loan/1", counterparty=answer, body=body)
    writer.write(log=IDENTITY, kind=WITHDRAW, body=WithdrawalBody(_TIME, _ID).encode(_SALT))
    return tuple(writer.logs[IDENTITY])


def _at_the_top(seq: int) -> Block:
    """Return a block whose header is as long as one may be; what follows it is the reader's."""
    pair, kind = Counterparty(_ID, ZEROS), "k" * 32
    body = make_body(bytes(300))
    return make_block(
        device_keys().signing, MAX_LOG, seq, _ID, body=body, kind=kind, counterparty=pair, ext=_ID
    )


def _without_beginnings(blocks: Sequence[Block]) -> list[RawBlock]:
    short = items(blocks[:1])
    for block in blocks[1:]:
        start = beginning(*block.header[:4])
        short.append((block.raw[len(start) :], block.signature, block.body))
    return short


def proof() -> list[bytes]:
    """Return proofs of both forms, vouched for by one header or by some."""
    return [proof.encode() for proof in _proofs()]


@cache
def _proofs() -> Sequence[ForkProof]:
    left, right = forked(3, 9, 9)
    return [
        ForkProof.of(_vouched(left, 3, 3), _vouched(right, 3, 3)),
        ForkProof.of(_vouched(left, 3, 6), _vouched(right, 3, 4)),
        ForkProof.of(_vouched(left, 5, 5), _vouched(right, 6, 6)),
        ForkProof.of(_vouched(left, 5, 8), _vouched(right, 6, 10)),
    ]


def _vouched(log: Sequence[Block], seq: int, until: int) -> Vouched:
    return Vouched.of(run_of(log[seq - 1 : until]).blocks)


def statement() -> list[bytes]:
    """Return signatures and statements with no cut, two, and as many as there may be."""
    return [signed.signature + signed.raw for signed in _statements()]


@cache
def _statements() -> Sequence[Revocation]:
    few = [Cut(0, 9, _ID), Cut(MAX_LOG, MAX_SEQ, _OTHER)]
    many = [Cut(log, log + 1, _ID) for log in range(MAX_CUTS)]
    owner, device = person_key(), device_keys().public
    return [Revocation.sign(owner, device, cuts) for cuts in ([], few, many)]


def link() -> list[bytes]:
    """Return links in either case, with space around."""
    text = _link().encode()
    texts = [text, text.upper(), f" {text}\n", SCHEME.upper() + text[len(SCHEME) :]]
    return [text.encode("ascii") for text in texts]


def link_bytes() -> list[bytes]:
    """Return what a link says, without its checksum."""
    told = _link()
    return [b"\x01" + told.person + told.device + told.sealing + told.certificate]


@cache
def _link() -> Link:
    keys, owner = device_keys(), person_key()
    certificate = owner.certify(keys.public)
    return Link(owner.signing.public, keys.public, keys.sealing_public, certificate)


def words() -> list[bytes]:
    """Return recovery words in any case and spacing."""
    first, second = " ".join(person_key(0).words), "\n ".join(person_key(1).words)
    return [first.encode("ascii"), second.upper().encode("ascii"), f"\t{first}".encode("ascii")]


def word_numbers() -> list[bytes]:
    """Return recovery words as their places in the list, two bytes each."""
    keys = [person_key(number) for number in range(4)]
    places = {word: place for place, word in enumerate(WORD_LIST)}
    return [b"".join(places[word].to_bytes(2, "big") for word in key.words) for key in keys]


def body() -> list[bytes]:
    """Return open bodies with and without fields."""
    fields: list[list[object]] = [[], [None], ["text", b"bytes", [1, [2]]], [0, -1, (1 << 64) - 1]]
    return [make_body(*some, time=time, salt=_SALT) for some in fields for time in (0, MAX_TIME)]


def device() -> list[bytes]:
    """Return bodies of device blocks; the first is certified, of the device of no key."""
    owner, sealing = person_key(), device_keys().sealing_public
    certified = Device(_TIME, sealing, owner.signing.public, owner.certify(bytes(32)))
    return [certified.encode(_SALT), Device(0, _ID, _OTHER, _SIGNATURE, _REST).encode(_SALT)]


def profile() -> list[bytes]:
    """Return profiles."""
    long = Profile(MAX_TIME, "\u00e9" * 32, "a" * 1_024, _REST)
    return [said.encode(_SALT) for said in (Profile(_TIME, "Ada"), long)]


def post() -> list[bytes]:
    """Return posts: alone, as an answer, with files."""
    posts = [
        Post(0, "a"),
        Post(_TIME, "hello\n\U0001f44b", _REFERENCE),
        Post(_TIME, "look", None, (_ATTACHMENT,) * 2, _REST),
        Post(MAX_TIME, "x" * 500, _REFERENCE, (_ATTACHMENT._replace(type="", name=""),) * 16),
    ]
    return [said.encode(_SALT) for said in posts]


def agreement() -> list[bytes]:
    """Return bodies of agreements."""
    first = AgreementBody(_TIME, _REFERENCE._replace(log=0), 3)
    last = AgreementBody(MAX_TIME, Reference(_ID, 0, MAX_SEQ, _OTHER), MAX_SEQ, _REST)
    return [said.encode(_SALT) for said in (first, last)]


def withdrawal() -> list[bytes]:
    """Return bodies of withdrawals."""
    return [said.encode(_SALT) for said in (WithdrawalBody(0, _ID), WithdrawalBody(1, _ID, _REST))]


def half_block() -> list[bytes]:
    """Return blocks as ``[header, body or null]``."""
    blocks = [*_half_blocks(), *written(2)]
    bare = [encode([block.raw, None]) for block in blocks]
    return bare + [encode([block.raw, block.body]) for block in blocks]


def message() -> list[bytes]:
    """Return messages that bring something, and some that are not read."""
    block = written(1)[0]
    late = [LateBody(*block.header[:3], b""), LateBody(_ID, MAX_LOG, MAX_SEQ, bytes(300))]
    signed = [(one.raw, one.signature) for one in _statements()[:2]]
    return [
        _data(written(2)),
        _data([block._replace(body=None, signature=b"")], written(2, IDENTITY)),
        encode_message(Bodies(late)),
        encode_message(Statements(signed)),
        encode_message(Proofs([one.encode() for one in _proofs()[::2]])),
        *(encode([number, None, [b"x", "y", 1]]) for number in (15, 24, 42, 99, (1 << 64) - 1)),
    ]


def envelope() -> list[bytes]:
    """Return envelopes, the largest among them."""
    return [
        encode_envelope(_SALT, _SALT[::-1], content)
        for content in (b"x", _ID * 9, bytes(MAX_CIPHERTEXT_BYTES))
    ]


def postal() -> list[bytes]:
    """Return a message about mail of each sort."""
    row, name = _ID[:ROW_BYTES], _ID[:TOKEN_NAME_BYTES]
    raw, beside = envelope()[0], (7, MAX_LIFE_MIN, 0)
    return [
        encode_message(message)
        for message in (
            Offers(True, 3, 9, [row], [row, row], [name]),  # noqa: FBT003
            Offers(False, 0, 0),  # noqa: FBT003
            Take(1, [0, 3, 2], {3: 1_024}),
            Leave(Why.LATER, [7, 300]),
            Envelopes([Parcel(raw, *beside), Parcel(envelope()[1], 0, 1, 64)]),
            Pieces([Piece(3, 1_024, 2_048, _ID, *beside)]),
            Tokens([Receipt(_SALT, _SALT[::-1], 60)]),
        )
    ]


def sealed_start() -> list[bytes]:
    """Return first payloads of sealed bundles, for few devices and for more."""
    slots = bytes(8 * SLOT_BYTES)
    starts = [Start(_ID, slots, _ID[:STREAM_BYTES]), Start(_OTHER, slots * 2, bytes(STREAM_BYTES))]
    return [*(start.encode() for start in starts), encode([1, 1, *starts[0], "later"])]


def sealed_header() -> list[bytes]:
    """Return what headers of sealed bundles say, not signed."""
    held = FrontierEntry(_ID, 1, 3, (_OTHER,))
    few = SealedHeader(WRITER.public, _SALT[:8], 1, 1, (), ())
    many = SealedHeader(WRITER.public, _SALT[8:], 1 << 40, 9_999, (_ID, b"", _ID * 9), (held,) * 3)
    said: list[Value] = [WRITER.public, _SALT[:8], 7, 1, [_ID], [], "later"]
    return [few.encode(), many.encode(), encode(said)]


def sealed_row() -> list[bytes]:
    """Return what rows of sealed bundles say."""
    runs = ((_SALT[:8], 7), (_SALT[8:], 1 << 40))
    seen = Seen(_SALT[:8], ((1, 9), (11, 11)))
    rows = [Row((), (), None, 0, None), Row(runs, ((1, 1), (3, 1 << 40)), runs[0], 5, seen)]
    return [*(row.encode() for row in rows), encode([[], [], None, 1, None, b"later"])]


def sealed_end() -> list[bytes]:
    """Return what ends of sealed bundles say, not signed."""
    ends = [End(0, 0, 0, is_last=False), End(7, 1 << 40, (1 << 53) - 1, is_last=True)]
    return [encode(end.numbers()) for end in ends]


def trace() -> list[bytes]:
    """Return contacts as files have them."""
    rows = ["0,60,1,2", "30.5,90,b,a", "1e3,2000.25,1,a"]
    return ["\n".join([HEADER, *some, ""]).encode() for some in (rows[:1], rows)]


def entry() -> list[bytes]:
    """Return frontier entries: of nothing, of something with gaps, of a fork."""
    low, high = sorted([_ID, _OTHER])
    gaps = ((3, 4), (6, 9), (11, 11), (MAX_SEQ, MAX_SEQ))
    entries = [
        FrontierEntry(_ID, 0, 0, ()),
        FrontierEntry(_ID, 1, 0, (), ((2, 3),), 2),
        FrontierEntry(_ID, MAX_LOG, 1, (_OTHER,), gaps, 4),
        FrontierEntry(_ID, 1, 20, (low, high), ((1, 1), *gaps[:3], (13, 19)), None),
    ]
    return [one.encode() for one in entries]


def bundle() -> list[bytes]:
    """Return bundles: empty, with messages, cut short, with something after the end."""
    full = _bundle(message())
    return [_bundle([]), full, full[:-20], full + b"more", _bundle([b"x"] * 20)]


def _bundle(messages: Sequence[bytes]) -> bytes:
    writer = BundleWriter()
    return (
        writer.begin()
        + b"".join(map(writer.message, messages))
        + writer.end(len(messages), 1 << 40)
    )


def bundle_payloads() -> list[bytes]:
    """Return what the frames of a bundle hold, as an array."""
    begin, two = encode([1, 0]), [encode([16]), bytes(300)]
    ends = ([15, 0, 0, 0], [15, 2, 5, (1 << 53) - 1], [15, 1, 0, 0], [15, 2, 0])
    return [
        encode([begin, encode(ends[0])]),
        encode([begin, *two, encode(ends[1])]),
        encode([begin, *two, encode(ends[2])]),
        encode([begin, *two, encode(ends[3]), b"after"]),
        encode([encode([1, 0, "more"]), b"x", encode(ends[2])]),
        encode([begin, *two]),
    ]
