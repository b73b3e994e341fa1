"""Reads the messages of ``gossip.control``: each field has the right type and size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gossip.control import (
    BUCKET_BYTES,
    BUCKETS,
    CHECK_BYTES,
    ID_BYTES,
    IDENT_BYTES,
    MAIL_RUN_BYTES,
    MAX_BODY_RANGES,
    MAX_CLASS,
    MAX_COUNT,
    MAX_IDS,
    MAX_MENTIONS,
    MAX_SCOPES,
    MIN_FRAME_BYTES,
    PARTS,
    ROOT_BYTES,
    RUN_BYTES,
    SCOPE_BYTES,
    SHORT_BYTES,
    Ack,
    Announce,
    Buckets,
    Bye,
    Control,
    Credit,
    Done,
    DoneRow,
    Entries,
    EntryRow,
    Greeting,
    Hello,
    Ids,
    MailGreeting,
    Mention,
    Mode,
    New,
    Reason,
    Request,
    Root,
    ScopeRoot,
    Vector,
    Want,
)
from gossip.cursor import decode_seen
from gossip.frontier import MAX_ENTRY_BYTES, decode_entry
from gossip.number import MAX_MESSAGE_BYTES, Number
from gossip.postal import NUMBERS
from ledger.block import MAX_LOG, MAX_SEQ
from ledger.errors import InvalidError
from ledger.keys import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.cursor import Seen
    from ledger.codec import Value
    from ledger.store.base import LogKey

READ: Final = (
    frozenset(Number)
    - {Number.DATA, Number.BODIES, Number.STATEMENTS, Number.PROOFS, Number.TRAILER}
    - NUMBERS
)
"""Numbers of the messages of this module."""
_MODES: Final = {mode.value: mode for mode in Mode}
_REASONS: Final = {reason.value: reason for reason in Reason}


def read_control(number: int, fields: Sequence[Value]) -> Control:  # noqa: C901, PLR0911, PLR0912
    """Return the message of ``number``, which is in ``READ``.

    Raises:
        InvalidError: A field is not what the message asks for. No other exception leaves this
            function.
    """
    match number, fields:
        case Number.HELLO, [
            [_, *_] as versions,
            int(features),
            int(frame),
            int(window),
            budget,
            told,
            *rest,
        ]:
            hello = _hello(versions, (features, frame, window), budget, told)
            return _with_more(hello, rest)
        case Number.NEW, [int(valid), int(low), int(high), 0 | 1 as last, list(flat)] if (
            0 <= valid < MAX_COUNT and 1 <= low <= high < MAX_COUNT
        ):
            return New(valid, low, high, bool(last), _mentions(flat))
        case Number.ROOT, [0 | 1 as tells, [_, *_] as rows] if len(rows) <= MAX_SCOPES:
            return Root(bool(tells), _scopes(rows))
        case Number.BUCKETS, [bytes(scope), bytes(digests)] if (
            _is_scope(scope) and len(digests) == BUCKETS * BUCKET_BYTES
        ):
            return Buckets(scope, digests)
        case Number.VECTOR, [bytes(scope), 0 | 1 as last, list(flat)] if _is_scope(scope):
            return Vector(scope, bool(last), _mentions(flat))
        case Number.WANT, [[_, *_] as rows]:
            return Want([_request(row) for row in rows])
        case Number.CREDIT, [int(total)] if 0 <= total < MAX_COUNT:
            return Credit(total)
        case Number.ACK, [int(pages), seen] if 0 <= pages < MAX_COUNT:
            return Ack(pages, _seen(seen))
        case Number.ANNOUNCE, [bytes(run), int(low), int(high), list(flat)] if len(run) in (
            0,
            RUN_BYTES,
        ) and (low == high == 0 or 1 <= low <= high < MAX_COUNT):
            return Announce(run, low, high, _mentions(flat))
        case Number.ENTRIES, [[_, *_] as rows]:
            return Entries([_entry_row(row) for row in rows])
        case Number.IDS, [int(index), int(low), int(step), bytes(ids)] if (
            _is_index(index) and 1 <= low <= MAX_SEQ and 1 <= step <= MAX_SEQ
        ):
            if len(ids) % ID_BYTES or len(ids) > MAX_IDS * ID_BYTES:
                raise InvalidError(f"ids are up to {MAX_IDS} times {ID_BYTES} bytes")
            return Ids(index, low, step, ids)
        case Number.DONE, [[_, *_] as rows]:
            return Done([_done_row(row) for row in rows])
        case Number.BYE, []:
            return Bye()
        case _:
            raise InvalidError("the fields of a message are wrong")


def _hello(
    versions: list[Value],
    numbers: tuple[int, int, int],
    budget: Value,
    told: Value,
) -> Hello:
    spoken = tuple(v for v in versions if isinstance(v, int) and v >= 1)
    if len(spoken) != len(versions) or list(spoken) != sorted(set(spoken)):
        raise InvalidError("versions are numbers from 1, ascending")
    features, frame, window = numbers
    if not MIN_FRAME_BYTES <= frame <= MAX_MESSAGE_BYTES:
        raise InvalidError(f"a frame limit is {MIN_FRAME_BYTES} to {MAX_MESSAGE_BYTES} bytes")
    if features < 0 or not MIN_FRAME_BYTES <= window < MAX_COUNT:
        raise InvalidError(f"a window of less than {MIN_FRAME_BYTES} bytes, or wrong features")
    if budget is not None and not (isinstance(budget, int) and 0 <= budget < MAX_COUNT):
        raise InvalidError("a budget is a number of bytes or null")
    return Hello(spoken, features, frame, window, budget, _greeting(told))


def _with_more(hello: Hello, rest: Sequence[Value]) -> Hello:
    """Add what HELLO may say after its items, as far as this version reads it."""
    mail = rest[0] if rest else None
    parts = rest[1] if len(rest) > 1 else None
    if parts is not None and not (isinstance(parts, bytes) and len(parts) == PARTS * BUCKET_BYTES):
        raise InvalidError(f"{PARTS} parts of a scope are compared, of {BUCKET_BYTES} bytes each")
    return replace(hello, mail=_mail_greeting(mail), parts=parts or b"")


def _greeting(told: Value) -> Greeting | None:
    match told:
        case None:
            return None
        case [bytes(run), int(lsn), seen] if (
            len(run) in (0, RUN_BYTES) and bool(run) == (lsn > 0) and 0 <= lsn < MAX_COUNT
        ):
            return Greeting(run, lsn, _seen(seen))
        case _:
            raise InvalidError("a contact is told a run, an lsn and what was seen")


def _mail_greeting(told: Value) -> MailGreeting | None:
    match told:
        case None:
            return None
        case [bytes(run), int(serial), seen] if (
            len(run) == MAIL_RUN_BYTES and 0 <= serial < MAX_COUNT
        ):
            return MailGreeting(run, serial, _seen(seen, MAIL_RUN_BYTES))
        case _:
            raise InvalidError("of mail a run, a serial and what was seen are told")


def _seen(told: Value, run_bytes: int = RUN_BYTES) -> Seen | None:
    """Read a seen as it stands in a message; in bytes of its own it would be a second spelling."""
    if isinstance(told, bytes):
        raise InvalidError("what was seen is an array")
    return None if told is None else decode_seen(told, run_bytes)


def _scopes(rows: list[Value]) -> list[ScopeRoot]:
    scopes: list[ScopeRoot] = []
    for row in rows:
        match row:
            case [bytes(scope), bytes(root), int(count)] if (
                _is_scope(scope) and len(root) == ROOT_BYTES and 0 <= count < MAX_COUNT
            ):
                scopes.append(ScopeRoot(scope, root, count))
            case _:
                raise InvalidError("a scope is a name, a root and a count")
    if len({row.scope for row in scopes}) != len(scopes):
        raise InvalidError("a scope twice")
    return scopes


def _mentions(flat: list[Value]) -> list[Mention]:
    mentions: list[Mention] = []
    at = 0
    while at < len(flat):
        name: int | bytes | LogKey
        match flat[at : at + 4]:
            case [int(index), int(seq), bytes(check), *_] if _is_index(index):
                name, at = index, at + 3
            case [bytes(short), int(seq), bytes(check), *_] if len(short) == SHORT_BYTES:
                name, at = short, at + 3
            case [bytes(author), int(log), int(seq), bytes(check)] if (
                len(author) == KEY_BYTES and 0 <= log <= MAX_LOG
            ):
                name, at = (author, log), at + 4
            case _:
                raise InvalidError("a mention is a log's name, a seq and a check")
        plain = seq >= 0
        seq = seq if plain else -1 - seq
        if seq > MAX_SEQ or len(check) not in (CHECK_BYTES, 2 * CHECK_BYTES):
            raise InvalidError("a mention's seq or check is wrong")
        mentions.append(Mention(name, seq, plain, check[:CHECK_BYTES], check[CHECK_BYTES:]))
    return mentions


def _request(row: Value) -> Request:
    match row:
        case [int(index), int(rank), int(number), *args] if (
            _is_index(index) and 0 <= rank <= MAX_CLASS and number in _MODES
        ):
            mode = _MODES[number]
            return Request(index, rank, mode, _args(mode, args))
        case _:
            raise InvalidError("a want is an index, a class and a mode")


def _args(mode: Mode, args: list[Value]) -> tuple[int | bytes, ...]:
    match mode, args:
        case Mode.FROM | Mode.HEADERS, [int(seq), int(until), bytes(ident)] if (
            0 <= seq <= MAX_SEQ
            and (until == 0 or seq < until <= MAX_SEQ)
            and len(ident) in (0, IDENT_BYTES)
        ):
            return seq, until, ident
        case Mode.NEWEST, [int(count)] if 1 <= count <= MAX_SEQ:
            return (count,)
        case Mode.BODIES, [_, *_] if len(args) <= 2 * MAX_BODY_RANGES and len(args) % 2 == 0:
            return _ascending(args)
        case Mode.IDS, [int(low), int(step), int(count)] if (
            1 <= low <= MAX_SEQ and 1 <= step <= MAX_SEQ and 1 <= count <= MAX_IDS
        ):
            return low, step, count
        case Mode.ENTRY | Mode.EVIDENCE | Mode.BRANCHES, []:
            return ()
        case _:
            raise InvalidError(f"not what is to be said with {mode.name}")


def _ascending(args: list[Value]) -> tuple[int, ...]:
    seqs = tuple(value for value in args if isinstance(value, int) and 1 <= value <= MAX_SEQ)
    ends = list(zip(seqs[::2], seqs[1::2], strict=False))
    after = [-1, *(high for _, high in ends)]  # what touches is one range
    if len(seqs) != len(args) or any(
        low > high or low <= before + 1 for (low, high), before in zip(ends, after, strict=False)
    ):
        raise InvalidError("ranges ascend, and do not touch")
    return seqs


def _entry_row(row: Value) -> EntryRow:
    match row:
        case [int(index), bytes(entry), bytes(branches)] if (
            _is_index(index) and len(entry) <= MAX_ENTRY_BYTES and len(branches) in (0, ID_BYTES)
        ):
            return EntryRow(index, decode_entry(entry), branches)
        case _:
            raise InvalidError("an answer to ENTRY is an index, an entry and a digest")


def _done_row(row: Value) -> DoneRow:
    match row:
        case [int(index), int(mode), int(reason)] if (
            _is_index(index) and mode in _MODES and reason in _REASONS
        ):
            return DoneRow(index, _MODES[mode], _REASONS[reason])
        case _:
            raise InvalidError("an end is an index, a mode and a reason")


def _is_scope(scope: bytes) -> bool:
    return len(scope) in (0, SCOPE_BYTES)


def _is_index(index: int) -> bool:
    return 0 <= index < MAX_MENTIONS
