from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import MAX_BODY_BYTES, MAX_SEQ
from ledger.codec import encode
from ledger.errors import MeaninglessError
from ledger.kinds.body import MAX_TIME, Reference, SealedError, open_body
from ledger.kinds.describe import describe
from ledger.kinds.device import Device, person_of
from ledger.kinds.half import AgreementBody, WithdrawalBody
from ledger.kinds.post import Attachment, Post
from ledger.kinds.profile import Profile
from tests.ledger.views_support import SALT, keys, person, root

if TYPE_CHECKING:
    from ledger.codec import Value

    class Kind(Protocol):
        def encode(self, salt: bytes) -> bytes: ...
        @classmethod
        def decode(cls, body: bytes) -> object: ...


KEY = bytes(range(32))
HASH = bytes(32)

keys32 = st.binary(min_size=32, max_size=32)
times = st.integers(0, MAX_TIME)
rests = st.lists(st.none() | st.integers(0, 9) | st.text(max_size=9), max_size=3).map(tuple)
letters = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=16)
references = st.builds(
    Reference, keys32, st.integers(0, (1 << 32) - 1), st.integers(1, MAX_SEQ), keys32
)
attachments = st.builds(Attachment, keys32, st.integers(0, MAX_TIME), letters, letters)
kinds = st.one_of(
    st.builds(Device, times, keys32, keys32, st.binary(min_size=64, max_size=64), rests),
    st.builds(Profile, times, letters, st.text(max_size=250), rests),
    st.builds(
        Post,
        times,
        st.text(min_size=1, max_size=99),
        st.none() | references,
        st.lists(attachments, max_size=3).map(tuple),
        rests,
    ),
    st.builds(
        AgreementBody, times, references.map(lambda r: r._replace(log=0)), st.just(MAX_SEQ), rests
    ),
    st.builds(WithdrawalBody, times, keys32, rests),
)


@given(said=kinds)
def test_every_kind_reads_what_it_wrote_and_keeps_fields_it_does_not_know(said: Kind) -> None:
    body = said.encode(SALT)
    again = type(said).decode(body)
    assert again == said
    assert again.encode(SALT) == body


ATTACHMENT: list[Value] = [HASH, 5, "image/png", "cat.png"]
GOOD: dict[type[Kind], list[Value]] = {
    Device: [KEY, KEY, bytes(64)],
    Profile: ["Ada", "counts"],
    Post: ["hello", [KEY, 1, 2, HASH], [ATTACHMENT]],
    AgreementBody: [[KEY, 0, 2, HASH], 3],
    WithdrawalBody: [HASH],
}


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_every_field_has_its_type_and_none_may_be_missing(kind: type[Kind]) -> None:
    good = GOOD[kind]
    kind.decode(open_body(SALT, 1, *good))
    for index in range(len(good)):
        with pytest.raises(MeaninglessError):
            kind.decode(open_body(SALT, 1, *good[:index]))
        wrongs: tuple[Value, ...] = (
            7 if not isinstance(good[index], int) else "7",
            b"",
            [[]],
            ["", b""],
        )
        for wrong in wrongs:
            fields = [*good[:index], wrong, *good[index + 1 :]]
            with pytest.raises(MeaninglessError):
                kind.decode(open_body(SALT, 1, *fields))


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_no_kind_reads_sealed_missing_or_twice_spelled_bodies(kind: type[Kind]) -> None:
    with pytest.raises(SealedError):
        kind.decode(SALT + encode([1, bytes(16), b"secret"]))
    good = open_body(SALT, 1, *GOOD[kind])
    second = good[:16] + good[16:].replace(b"\x00\x01", b"\x00\x18\x01", 1)
    for body in (b"", second, good + b"\x00", good[:-1]):
        with pytest.raises(MeaninglessError):
            kind.decode(body)


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
@given(noise=st.lists(st.none() | st.integers(-9, 9) | st.binary() | st.text(), max_size=4))
def test_no_fields_of_strangers_raise_anything_but_meaningless(
    kind: type[Kind], noise: list[Value]
) -> None:
    for fields in (noise, [noise, noise, noise]):
        try:
            kind.decode(open_body(SALT, 1, *fields))
        except MeaninglessError:
            continue


@pytest.mark.parametrize(
    "wrong",
    [
        {"time": -1},
        {"time": MAX_TIME + 1},
        {"sealing": KEY[1:]},
        {"person": KEY + b"\0"},
        {"certificate": bytes(63)},
    ],
)
def test_a_device_that_cannot_be_is_refused(wrong: dict[str, int | bytes]) -> None:
    with pytest.raises(MeaninglessError):
        replace(Device(1, KEY, KEY, bytes(64)), **wrong)  # type: ignore[arg-type]


def test_a_device_belongs_to_who_certified_it() -> None:
    device = keys("phone").public
    said = Device(1, KEY, root("ada"), person("ada").certify(device))
    assert person_of(device, said.encode(SALT)) == root("ada")


def test_a_device_without_a_right_certificate_is_its_own_person() -> None:
    device, other = keys("phone").public, keys("laptop").public
    right = person("ada").certify(device)
    for said in (
        Device(1, KEY, root("ada"), person("ada").certify(other)),  # of another device
        Device(1, KEY, root("bob"), right),  # by another person
        Device(1, KEY, root("ada"), right[:-1] + bytes([right[-1] ^ 1])),
        Device(1, KEY, bytes(32), bytes(64)),  # a key of small order
    ):
        assert person_of(device, said.encode(SALT)) == device
    for body in (None, b"", bytes(16), SALT + encode([1, bytes(16), b""])):
        assert person_of(device, body) == device


@pytest.mark.parametrize(
    "name", ["Ada", "x", "ü" * 32, "Ada\u200dB", "नमस्ते", "\U0001f600", "two words", "'; --"]
)
def test_ordinary_names_are_taken(name: str) -> None:
    assert Profile.decode(Profile(1, name).encode(SALT)).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 65,
        "ü" * 33,
        "a\nb",
        "a\x00b",
        "a\x1b[31m",
        "a\x7f",
        "a\x85b",
        "a\x9bb",
        "a\u2028b",
        "a\u2029b",
        "a\u202eb",
        "a\u2066b",
        "a\u061cb",
        "\u200fa",
        " ",
        "\u3000\u00a0",
        "\u200b\u200d",
        "\u3164",
        "\u2800",
        "\U000e0041",
        "\ud800",
    ],
)
def test_names_that_hide_or_steer_are_refused(name: str) -> None:
    with pytest.raises(MeaninglessError) as caught:
        Profile(1, name)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    if "\ud800" not in name:
        with pytest.raises(MeaninglessError):
            Profile.decode(open_body(SALT, 1, name, ""))


def test_a_text_about_oneself_has_its_limit_and_may_have_lines() -> None:
    assert Profile(1, "Ada", "ä" * 512).about
    assert Profile(1, "Ada", "one\ntwo").about
    with pytest.raises(MeaninglessError, match="1025 bytes where 1024 fit"):
        Profile(1, "Ada", "ä" * 512 + "x")


def test_a_post_is_neither_empty_nor_endless() -> None:
    assert Post.decode(Post(1, "x" * 8_192).encode(SALT)).text == "x" * 8_192
    for text in ("", "x" * 8_193, "ü" * 4_097, "\udfff"):
        with pytest.raises(MeaninglessError):
            Post(1, text)


def test_the_largest_post_fits_its_body() -> None:
    files = (Attachment(HASH, MAX_TIME, "t" * 128, "n" * 255),) * 16
    body = Post(MAX_TIME, "x" * 8_192, Reference(KEY, 1, MAX_SEQ, HASH), files).encode(SALT)
    assert len(body) <= MAX_BODY_BYTES
    assert Post.decode(body).attachments == files


@pytest.mark.parametrize(
    "wrong",
    [
        Attachment(HASH[1:], 0, "", ""),
        Attachment(HASH, -1, "", ""),
        Attachment(HASH, 1 << 53, "", ""),
        Attachment(HASH, 0, "t" * 129, ""),
        Attachment(HASH, 0, "text\nplain", ""),
        Attachment(HASH, 0, "", "n" * 256),
        Attachment(HASH, 0, "", "cat\u202egnp.exe"),
        Attachment(HASH, 0, "", "../../.profile"),
        Attachment(HASH, 0, "", "C:\\autoexec.bat"),
    ],
)
def test_an_attachment_that_misleads_is_refused(wrong: Attachment) -> None:
    with pytest.raises(MeaninglessError):
        Post(1, "look", None, (wrong,))
    with pytest.raises(MeaninglessError):
        Post.decode(open_body(SALT, 1, "look", None, [wrong]))


@pytest.mark.parametrize(
    "fields", [["x", None, [[*ATTACHMENT, 0]]], ["x", None, [ATTACHMENT] * 17], ["x", None, None]]
)
def test_attachments_have_four_items_and_are_sixteen_at_most(fields: list[Value]) -> None:
    assert len(Post.decode(open_body(SALT, 1, "x", None, [ATTACHMENT] * 16)).attachments) == 16
    with pytest.raises(MeaninglessError):
        Post.decode(open_body(SALT, 1, *fields))


def test_any_body_can_be_looked_into() -> None:
    body = Post(5, "hi", None, (Attachment(HASH, 1, "t", "n"),), (9,)).encode(SALT)
    assert describe("post", body) == [5, "hi", None, [[HASH, 1, "t", "n"]], 9]
    assert describe("profile", body) is None  # not what that kind asks for
    assert describe("chess/move", body) == describe("post", body)
    assert describe("device", open_body(SALT, 1, *GOOD[Device])) == [1, *GOOD[Device]]
    assert describe("withdraw", open_body(SALT, 1, HASH)) == [1, HASH]
    for nothing in (None, b"", bytes(30), SALT + encode([1, bytes(16), b""])):
        assert describe("chess/move", nothing) is None
