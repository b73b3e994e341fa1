"""Frames of the control socket, and answers that are cut into them."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from ledger.codec import encode
from ledger.errors import InvalidError
from mesh.rows import BundledLog, FeedRow, Imported, Inspected, Stick, StickRow
from mesh.rpc_answers import PAGE_BYTES, Gathered, frames_of
from mesh.rpc_frames import (
    HEAD_BYTES,
    MAX_FRAME_BYTES,
    Answer,
    Asked,
    Broken,
    Call,
    End,
    Far,
    Items,
    Next,
    Piece,
    Refused,
    Said,
    decode_asked,
    decode_said,
    encode_frame,
    receive,
)
from mesh.rpc_methods import METHODS
from tests.mesh.rpc_samples import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mesh.rpc_values import Held

ASKED: list[Asked] = [Call("feed", [1, None, "x"]), Piece(b"bytes"), End(None), End(28), Next()]
SAID: list[Said] = [
    Piece(b"bytes"),
    Items(3, [b"one", b""]),
    Answer(b"\xf6"),
    Answer(None),
    Far(7, None),
    Far(7, 9),
    Refused("no"),
    Refused(b"\xed\xa0\x80"),
    Broken(2, "No such file or directory", b"/a"),
    Broken(5, "Input/output error", None),
]


@pytest.mark.parametrize("frame", ASKED)
def test_what_a_client_says_is_read_as_it_was_written(frame: Asked) -> None:
    assert decode_asked(encode_frame(frame)[HEAD_BYTES:]) == frame


@pytest.mark.parametrize("frame", SAID)
def test_what_a_server_says_is_read_as_it_was_written(frame: Said) -> None:
    assert decode_said(encode_frame(frame)[HEAD_BYTES:]) == frame


@pytest.mark.parametrize("read", [decode_asked, decode_said])
@pytest.mark.parametrize(
    "value",
    [
        *(None, 7, [], [99], ["0"], [0], [0, "feed"], [0, b"feed", []], [1, "text"], [1, b"", 1]),
        *([2, "28"], [3, 3], [4, 0, [7]], [4, "0", []], [5], [5, 1], [6, None, 1], [7, None]),
        [8, 1, "x"],
    ],
)
def test_what_nobody_says_is_refused(read: Callable[[bytes], object], value: object) -> None:
    with pytest.raises(InvalidError):
        read(encode(value))


def test_neither_side_says_what_the_other_does() -> None:
    for frame in SAID[1:]:
        with pytest.raises(InvalidError, match="no client sends"):
            decode_asked(encode_frame(frame)[HEAD_BYTES:])
    for asked in (ASKED[0], *ASKED[2:]):
        with pytest.raises(InvalidError, match="no server sends"):
            decode_said(encode_frame(asked)[HEAD_BYTES:])


def test_a_frame_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(InvalidError, match="bytes at once are too many; give it less"):
        encode_frame(Call("post", ["x" * MAX_FRAME_BYTES]))


async def _received(data: bytes) -> bytes:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await receive(reader)


async def test_a_frame_that_claims_to_be_too_long_is_refused_before_it_is_there() -> None:
    claim = (MAX_FRAME_BYTES + 1).to_bytes(HEAD_BYTES, "big")
    with pytest.raises(InvalidError, match="too long"):
        await _received(claim)
    assert await _received(encode_frame(Next())) == encode([3])


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\0\0\0\x02\x81"])
async def test_a_frame_that_is_cut_is_the_end(data: bytes) -> None:
    with pytest.raises(EOFError):
        await _received(data)


# --- answers --------------------------------------------------------------------------------------


def joined(name: str, frames: list[Items | Answer]) -> Held:
    gathered = Gathered(METHODS[name].answer)
    for frame in frames[:-1]:
        assert isinstance(frame, Items)
        gathered.add(frame)
    assert isinstance(frames[-1], Answer)
    return gathered.end(frames[-1])


def post(number: int, text: str = "x" * 300) -> FeedRow:
    return FeedRow(bytes(32), bytes(32), bytes(32), "Ada", number, text, None, [], 1, None)


RETURNING = sorted(name for name, method in METHODS.items() if not method.yields)


@pytest.mark.parametrize("name", RETURNING)
@given(data=st.data())
def test_every_answer_is_joined_to_what_it_was(name: str, data: st.DataObject) -> None:
    answer = METHODS[name].answer
    value = data.draw(values(answer))
    frames = list(frames_of(answer, value))
    assert joined(name, frames) == value


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_rows_go_in_pages_however_many_they_are(count: int) -> None:
    rows = [post(number) for number in range(count)]
    frames = list(frames_of(METHODS["feed"].answer, rows))
    assert max(len(encode_frame(frame)) for frame in frames) < PAGE_BYTES + 2_000
    assert joined("feed", frames) == rows


def test_a_page_is_made_when_it_is_asked_for() -> None:
    asked = 0

    class Rows(list[FeedRow]):
        @override
        def __iter__(self) -> Iterator[FeedRow]:
            nonlocal asked
            for number in range(100_000):
                asked += 1
                yield post(number)

    pages = list(islice(frames_of(METHODS["feed"].answer, Rows()), 3))
    assert len(pages) == 3
    assert asked < 1_000


def test_lists_within_an_answer_go_in_pages_too() -> None:
    logs = [BundledLog(bytes(32), 1, 1, number, number) for number in range(20_000)]
    found = Inspected(1, 2, 3, 4, 5, 6, 7, True, None, logs, 0, True, None, 0, 0)  # noqa: FBT003
    frames = list(frames_of(METHODS["inspect_bundle"].answer, found))
    assert max(len(encode_frame(frame)) for frame in frames) < PAGE_BYTES + 2_000
    assert joined("inspect_bundle", frames) == found


def test_a_list_within_an_item_goes_with_it() -> None:
    taken = Imported(1, 2, 0, 0, 0, False, "cut", ["a", "b"])  # noqa: FBT003
    stick = Stick([StickRow("a.passalong", "damaged", taken, "cut")] * 2, 3)
    frames = list(frames_of(METHODS["import_folder"].answer, stick))
    assert [type(frame) for frame in frames] == [Items, Answer]
    assert joined("import_folder", frames) == stick


def test_an_item_longer_than_a_page_goes_alone() -> None:
    rows = [post(1), post(2, "x" * 3 * PAGE_BYTES), post(3)]
    frames = list(frames_of(METHODS["feed"].answer, rows))
    assert [len(frame.items) for frame in frames if isinstance(frame, Items)] == [1, 1, 1]
    assert joined("feed", frames) == rows


def test_items_that_belong_nowhere_and_answers_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidError, match="a list that is not there"):
        Gathered(METHODS["feed"].answer).add(Items(1, []))
    with pytest.raises(InvalidError, match="a list that is not there"):
        Gathered(METHODS["whoami"].answer).add(Items(0, []))
    with pytest.raises(InvalidError):
        Gathered(METHODS["feed"].answer).add(Items(0, [encode(["no", "post"])]))
    for value in (None, encode(7), encode([b"id"]), b"\xff", b""):
        with pytest.raises(InvalidError):
            Gathered(METHODS["post"].answer).end(Answer(value))
