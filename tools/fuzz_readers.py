"""How a fuzzer calls the decoders that take more than bytes, and what must hold where they accept.

Each reader lets out what its decoder raises and nothing of its own, but for inputs that cannot be
put to the decoder at all: those it refuses in the decoder's name.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from gossip.bundle import (
    FRAME_HEAD_BYTES,
    MAGIC,
    BundleReader,
    NotABundleError,
    Trailer,
)
from gossip.bundle_open import BundleWriter
from gossip.number import MAX_MESSAGE_BYTES
from gossip.postal import NUMBERS as POSTAL
from gossip.postal import Notice, Post, read_postal
from gossip.sealing import Start, read_start
from gossip.sim.trace import HEADER, Trace, read_trace
from gossip.wire import Data, decode_message
from ledger.block import (
    SALT_BYTES,
    Block,
    Header,
    block_id,
    check_body,
    decode_header,
)
from ledger.codec import context, decode, encode
from ledger.errors import InvalidError
from ledger.fork import ForkProof
from ledger.keys import NOBODY, SIGNATURE_BYTES, WORDS, DeviceKeys, PersonKey
from ledger.kinds.body import open_body, peek_time
from ledger.kinds.describe import describe
from ledger.kinds.device import person_of
from ledger.kinds.half import read_half
from ledger.link import SCHEME
from ledger.run import RawBlock, Run, must_be_signed, verify_run
from ledger.statement import decode_revocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gossip.bundle_header import End, Row, SealedHeader
    from gossip.envelope import Envelope
    from ledger.codec import Value
    from ledger.kinds.device import Device
    from ledger.link import Link
    from ledger.run import Verify
    from ledger.statement import Revocation

_T = TypeVar("_T")
WRITER: Final = DeviceKeys.from_random(bytes(range(64)))
"""Of sealed bundles,"""
BOUND: Final = bytes(range(32))
"""and what stands before the signed part."""
_MORE: Final = bytes(FRAME_HEAD_BYTES + MAX_MESSAGE_BYTES + 1)


class DisagreementError(Exception):
    """Something was accepted although it does not hold."""


def same(found: object, expected: object) -> None:
    """Refuse two things that differ.

    Raises:
        DisagreementError: They do.
    """
    if found != expected:
        raise DisagreementError(f"{found!r:.2000} where {expected!r:.2000} was read")


def one_spelling(write: Callable[[_T], bytes]) -> Callable[[bytes, _T], None]:
    """Return a check that what was read is written as the bytes it was read from."""
    return lambda data, value: same(write(value), data)


# --- runs ---------------------------------------------------------------------------------------


def runs_with(verify: Verify) -> Callable[[bytes], list[Run]]:
    """Return a reader of the runs in a DATA message."""
    return lambda data: [verify_run(items, verify, hops) for items, hops in _raw_runs(data)]


def relinked_runs_with(verify: Verify) -> Callable[[bytes], list[Run]]:
    """Return a reader of runs whose headers after the first are written without their beginnings.

    What the one before demands is put in front, so that every header follows.
    """
    return lambda data: [
        verify_run(_relinked(items), verify, hops) for items, hops in _raw_runs(data)
    ]


def check_runs(_data: bytes, runs: Sequence[Run]) -> None:
    """Refuse a run that contradicts what its blocks say one by one."""
    for run in runs:
        before: Block | None = None
        for block in run.blocks:
            _check_block(block, before)
            before = block
        last = run.blocks[-1]
        same((run.tip, run.high, run.id_at(run.high)), (last.id, last.header.seq, last.id))


def _check_block(block: Block, before: Block | None) -> None:
    header = decode_header(block.raw)
    same(block.header, header)
    same(block.id, block_id(block.raw))
    if block.body is not None:
        check_body(header, block.body)
    if must_be_signed(header, is_last=False):
        same(len(block.signature) in (0, SIGNATURE_BYTES), expected=True)
    if before is not None:
        same(header[:4], (*before.header[:2], before.header.seq + 1, before.id))


def _raw_runs(data: bytes) -> Iterator[tuple[Sequence[RawBlock], int]]:
    match decode_message(data):
        case Data(runs):
            yield from runs
        case _:
            raise InvalidError("not DATA")


def _relinked(items: Sequence[RawBlock]) -> Sequence[RawBlock]:
    first = decode_header(items[0][0])
    linked = [items[0]]
    for seq, (tail, signature, body) in enumerate(items[1:], first.seq + 1):
        start = beginning(first.author, first.log, seq, block_id(linked[-1][0]))
        linked.append((start + tail, signature, body))
    return linked


def beginning(author: bytes, log: int, seq: int, previous: bytes) -> bytes:
    """Return how the header at ``seq`` after the block ``previous`` must begin."""
    return b"\x8a" + b"".join(map(encode, (1, author, log, seq, previous)))


def read_half_block(data: bytes) -> tuple[Header, Block]:
    """Read ``[header, body or null]``."""
    match decode(data, MAX_MESSAGE_BYTES):
        case [bytes(raw), (bytes() | None) as body]:
            header = decode_header(raw)
            return header, Block(header, raw, block_id(raw), b"", body)
        case _:
            raise InvalidError("not a header and a body")


def check_half_block(_data: bytes, read: tuple[Header, Block]) -> None:
    """Refuse a block that cannot be asked what it means."""
    header, block = read
    record = read_half(block, lambda author: author)
    if record is not None:
        same(header.log, 0)
    described = describe(header.kind, block.body)
    if described is not None and block.body is not None:
        same(block.body[SALT_BYTES:], encode([0, *described]))


# --- evidence, bodies ------------------------------------------------------------------


def statement_with(verify: Verify) -> Callable[[bytes], Revocation]:
    """Return a reader of a signature and a person statement."""
    size = SIGNATURE_BYTES
    return lambda data: decode_revocation(data[size:], data[:size], verify)


def check_statement(data: bytes, statement: Revocation) -> None:
    """Refuse a statement that is spelled in another way."""
    same(statement.signature + statement.raw, data)


def check_proof(data: bytes, proof: ForkProof) -> None:
    """Refuse a proof that is spelled in another way, or depends on who showed which side."""
    same(proof.encode(), data)
    same(ForkProof.of(proof.other, proof.one), proof)
    same(proof.outweighs(proof), expected=False)


def check_body_fields(data: bytes, said: tuple[int, list[Value]]) -> None:
    """Refuse an open body that is spelled in another way."""
    time, fields = said
    same(open_body(data[:SALT_BYTES], time, *fields), data)
    same(peek_time(data), time)


class Kind(Protocol):
    """What any kind says."""

    def encode(self, salt: bytes) -> bytes: ...


def check_kind(data: bytes, said: Kind) -> None:
    """Refuse a body that is spelled in another way."""
    same(said.encode(data[:SALT_BYTES]), data)


def check_device(data: bytes, said: Device) -> None:
    """Refuse a device that is spelled in another way, or another's than it says."""
    check_kind(data, said)
    same(person_of(NOBODY, data) in (NOBODY, said.person), expected=True)


# --- text ---------------------------------------------------------------------------------------


def text_of(data: bytes) -> str:
    """Return any text, half characters included."""
    return data.decode("utf-8", "surrogateescape")


def check_link(text: str, link: Link) -> None:
    """Refuse a link that is spelled in another way than by letter case and white space."""
    same(link.encode(), text.strip().lower())
    same(text.strip().isascii(), expected=True)


def link_text(data: bytes) -> str:
    """Return the link that says ``data``, its checksum right."""
    raw = data + sha256(context("link") + data).digest()[:4]
    return SCHEME + base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def check_words(text: str, key: PersonKey) -> None:
    """Refuse words that are not the key's."""
    same(key.words, text.lower().split())
    same(len(key.signing.public), 32)


def words_text(data: bytes, word_list: Sequence[str]) -> str:
    """Return the words whose numbers are ``data``, two bytes each, the rest zeros."""
    padded = data.ljust(2 * WORDS, b"\0")
    pairs = zip(padded[::2], padded[1::2], strict=False)
    return " ".join(word_list[(high << 8 | low) % len(word_list)] for high, low in pairs)


# --- bundles ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a bundle was read as."""

    messages: tuple[bytes, ...]
    trailer: Trailer | None
    damage: str | None
    frames: int


def read_mail(data: bytes) -> Post | Notice:
    """Read a message about mail by its number and the items after it.

    Raises:
        InvalidError: It is none.
    """
    match decode(data, MAX_MESSAGE_BYTES):
        case [int(number), *fields] if number in POSTAL:
            return read_postal(number, fields)
        case _:
            raise InvalidError("another message")


def check_envelope(data: bytes, envelope: Envelope) -> None:
    """Refuse an envelope that is not what its bytes say."""
    same((envelope.raw, envelope.tag), (data, data[3:19]))


def check_sealed_start(data: bytes, start: Start) -> None:
    """Refuse a beginning that is spelled in another way, but for what a later version says more."""
    same(start.encode(), _without_more(data, 5))


def read_sealed_start(data: bytes) -> Start:
    """Read the first payload of a sealed bundle.

    Raises:
        InvalidError: It is none.
    """
    match decode(data, MAX_MESSAGE_BYTES):
        case [1, 1, *fields]:
            return read_start(fields)
        case _:
            raise InvalidError("not the first payload of a sealed bundle")


def check_sealed_row(data: bytes, row: Row) -> None:
    """Refuse a row that is spelled in another way, but for what a later version says more."""
    same(row.encode(), _without_more(data, 5))


def signed_header(data: bytes) -> bytes:
    """Return ``data`` as the first chunk of a sealed bundle, its signature right."""
    return data + WRITER.signing.sign(context("bundle") + BOUND + data)


def check_sealed_header(data: bytes, header: SealedHeader) -> None:
    """Refuse a header that is spelled in another way, but for what a later version says more."""
    same(header.encode(), _without_more(data, 6))


def signed_end(data: bytes) -> bytes:
    """Return the array ``data`` as the last chunk of a sealed bundle, its signature right."""
    try:
        value = decode(data, MAX_MESSAGE_BYTES)
    except InvalidError:
        return data
    signature = WRITER.signing.sign(context("bundle/end") + BOUND + data)
    return encode([*value, signature]) if isinstance(value, list) else data


def check_sealed_end(data: bytes, end: End) -> None:
    """Refuse an end that is spelled in another way."""
    same(encode(end.numbers()), data)


def _without_more(data: bytes, count: int) -> bytes:
    value = decode(data, MAX_MESSAGE_BYTES)
    return encode(value[:count] if isinstance(value, list) else value)


def check_trace(_data: bytes, trace: Trace) -> None:
    """Refuse contacts that are not the same when they are written and read again."""
    names = trace.names
    rows = [f"{c.start!r},{c.end!r},{names[c.left]},{names[c.right]}" for c in trace.contacts]
    again = read_trace([HEADER, *rows])
    said = [(c.start, c.end, {names[c.left], names[c.right]}) for c in trace.contacts]
    names = again.names
    same([(c.start, c.end, {names[c.left], names[c.right]}) for c in again.contacts], said)


def read_bundle(data: bytes) -> Unpacked:
    """Read a bundle, in one piece and in small ones, which must come to the same."""
    outcome = _outcome(data, len(data) or 1)
    same(_outcome(data, 1 + (sum(data[-4:]) + len(data)) % 61), outcome)
    if isinstance(outcome, str):
        raise NotABundleError(outcome)
    return outcome


def check_bundle(data: bytes, unpacked: Unpacked) -> None:
    """Refuse a whole bundle that is spelled in another way than it would be written."""
    same(len(unpacked.messages), unpacked.frames)
    trailer, writer = unpacked.trailer, BundleWriter()
    begin = writer.begin()
    if unpacked.damage is None and trailer is not None and data.startswith(begin):
        spelled = begin + b"".join(map(writer.message, unpacked.messages))
        same(spelled + writer.end(trailer.blocks, trailer.envelopes), data)


def framed(data: bytes) -> bytes:
    """Return a bundle of the byte strings in the array ``data``, every checksum right."""
    try:
        value = decode(data, MAX_MESSAGE_BYTES)
    except InvalidError:
        value = data
    payloads = value if isinstance(value, list) else [data]
    digest = sha256(context("bundle") + MAGIC).digest()
    parts = [MAGIC]
    for payload in payloads:
        said = payload if isinstance(payload, bytes) else encode(payload)
        digest = sha256(digest + said).digest()
        parts.append(len(said).to_bytes(4, "big") + digest[:8] + said)
    return b"".join(parts)


def _outcome(data: bytes, piece: int) -> Unpacked | str:
    try:
        return _unpacked(data, piece)
    except NotABundleError as refusal:
        return str(refusal)


def _unpacked(data: bytes, piece: int) -> Unpacked:
    reader = BundleReader()
    messages: list[bytes] = []
    for at in range(0, len(data), piece):
        messages += reader.feed(data[at : at + piece])
        _check_held(reader, piece)
    reader.close()
    unpacked = Unpacked(tuple(messages), reader.trailer, reader.damage, reader.frames)
    if reader.damage is not None:
        _check_end(reader)
    return unpacked


def _check_end(reader: BundleReader) -> None:
    damage = reader.damage
    for more in (_MORE, b"x"):
        same((list(reader.feed(more)), reader.damage, reader.ended), ([], damage, True))
    _check_held(reader, 1)


def _check_held(reader: BundleReader, piece: int) -> None:
    held = len(reader._buffer)  # noqa: SLF001  how much it holds is what is asked
    if held > FRAME_HEAD_BYTES + MAX_MESSAGE_BYTES + piece:
        raise DisagreementError(f"a reader that holds {held} bytes")
