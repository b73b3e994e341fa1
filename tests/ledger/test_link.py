import base64
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidError
from ledger.link import MAX_LINK_CHARACTERS, SCHEME, Link
from tests.strategies import device_keys, person_key

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def link(device: int = 0, person: int = 0) -> Link:
    keys, owner = device_keys(device), person_key(person)
    certificate = owner.certify(keys.public)
    return Link(owner.signing.public, keys.public, keys.sealing_public, certificate)


def spelled(raw: bytes) -> str:
    """A link of ``raw`` with the check that belongs to it."""
    check = sha256(b"passalong/link/1" + raw).digest()[:4]
    return "passalong:" + base64.b32encode(raw + check).decode().rstrip("=").lower()


def parts(shown: Link, version: bytes = b"\1") -> bytes:
    return version + shown.person + shown.device + shown.sealing + shown.certificate


TEXT = link().encode()


@given(st.integers(0, 20), st.integers(0, 5))
def test_a_link_is_read_back_as_it_was_written(device: int, person: int) -> None:
    shown = link(device, person)
    assert Link.parse(shown.encode()) == shown
    assert Link.parse(shown.encode()).encode() == shown.encode()


def test_a_link_is_the_scheme_and_264_letters() -> None:
    assert spelled(parts(link())) == TEXT
    assert TEXT.startswith(SCHEME)
    assert len(TEXT) == len("passalong:") + 264
    assert set(TEXT.removeprefix(SCHEME)) <= set(ALPHABET)


def test_a_link_is_read_in_any_case() -> None:
    for text in (TEXT.upper(), TEXT.title(), TEXT.swapcase(), SCHEME + TEXT[10:].upper()):
        assert Link.parse(text) == link()


@given(st.integers(0, (1 << len(TEXT)) - 1))
def test_a_link_is_read_in_mixed_case(capitals: int) -> None:
    text = "".join(c.upper() if capitals >> at & 1 else c for at, c in enumerate(TEXT))
    assert Link.parse(text) == link()


@pytest.mark.parametrize("around", [" {} ", "\n{}\n", "\t{}\r\n", "  {}", "\u00a0{}\u2003"])
def test_spaces_around_a_link_do_not_matter(around: str) -> None:
    assert Link.parse(around.format(TEXT)) == link()


def test_every_mistyped_letter_is_refused() -> None:
    for at, letter in enumerate(TEXT):
        for other in ALPHABET:
            if other != letter:
                with pytest.raises(InvalidError):
                    Link.parse(TEXT[:at] + other + TEXT[at + 1 :])


def test_every_lost_doubled_or_swapped_letter_is_refused() -> None:
    for at in range(len(TEXT)):
        mistakes = {
            TEXT[:at] + TEXT[at + 1 :],
            TEXT[:at] + TEXT[at] + TEXT[at:],
            TEXT[:at] + TEXT[at + 1 : at + 2] + TEXT[at] + TEXT[at + 2 :],
        }
        for mistake in mistakes - {TEXT}:
            with pytest.raises(InvalidError):
                Link.parse(mistake)


@pytest.mark.parametrize("letter", ["0", "1", "8", "9", "=", "-", " ", "\n", "é", "\0", "😀"])
@pytest.mark.parametrize("at", [10, 100, 273])
def test_a_letter_that_no_link_has_is_refused(letter: str, at: int) -> None:
    with pytest.raises(InvalidError):
        Link.parse(TEXT[:at] + letter + TEXT[at + 1 :])


@pytest.mark.parametrize("other", ["ı", "ſ", "ß", "ﬀ", "ﬁ", "ﬅ"])  # noqa: RUF001
def test_a_letter_of_another_alphabet_does_not_stand_for_one_of_ours(other: str) -> None:
    # given a link in which other letters become ours when written in capitals
    ours = other.upper().lower()
    found = next(text for n in range(200) if ours in (text := link(n).encode())[len(SCHEME) :])
    # then it is not read as if they were
    at = found.index(ours, len(SCHEME))
    with pytest.raises(InvalidError):
        Link.parse(found[:at] + other + found[at + len(ours) :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "passalong",
        "passalong:",
        "passalong:a",
        "passalong:aaaaaaaa",
        "passalong:========",
        "https://example.org/",
        "passalong;" + TEXT[10:],
        TEXT[10:],
        "x" + TEXT,
        "passalong:" + TEXT,
        "passalong://" + TEXT[10:],
        TEXT + "=",
        TEXT + "=" * 8,
        TEXT + "a" * 8,
        TEXT + "?name=Ben",
        TEXT + " " + TEXT,
    ],
)
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        Link.parse(text)


@given(st.text(max_size=300))
def test_noise_is_no_link_and_no_other_error(noise: str) -> None:
    for text in (noise, SCHEME + noise, TEXT[:200] + noise):
        if text.strip().lower() != TEXT:
            with pytest.raises(InvalidError):
                Link.parse(text)


def test_a_text_too_long_to_be_a_link_is_refused_unread() -> None:
    with pytest.raises(InvalidError, match="not a passalong: link"):
        Link.parse(SCHEME + "a" * MAX_LINK_CHARACTERS)
    with pytest.raises(InvalidError, match="not a passalong: link"):
        Link.parse(TEXT + "a" * (1 << 20))
    assert Link.parse(" " * MAX_LINK_CHARACTERS + TEXT) == link()


def test_a_link_with_a_wrong_certificate_is_refused() -> None:
    other = link(1, 1)
    for wrong in (
        Link(other.person, link().device, link().sealing, link().certificate),
        Link(link().person, other.device, link().sealing, link().certificate),
        Link(link().person, link().device, link().sealing, other.certificate),
        Link(link().device, link().person, link().sealing, link().certificate),
        Link(link().person, link().device, link().sealing, bytes(64)),
    ):
        with pytest.raises(InvalidError, match="certificate"):
            Link.parse(wrong.encode())


@pytest.mark.parametrize("version", [b"\0", b"\2", b"\x7f", b"\xff"])
def test_a_link_of_another_version_says_so(version: bytes) -> None:
    with pytest.raises(InvalidError, match="version"):
        Link.parse(spelled(parts(link(), version)))


@pytest.mark.parametrize("more", [b"more" * 3, b"an address that is new"])
def test_a_longer_link_of_a_newer_version_says_so(more: bytes) -> None:
    with pytest.raises(InvalidError, match="version"):
        Link.parse(spelled(parts(link(), b"\2") + more))


def test_a_letter_whose_last_bits_mean_nothing_can_still_be_mistyped() -> None:
    # given a longer link that does not fill its last letter
    text = spelled(parts(link(), b"\2") + b"more" * 3)
    last = ALPHABET.index(text[-1])
    assert last % 16 == 0
    # then the letters that say the same but for the unused bits are refused
    for other in range(last + 1, last + 16):
        with pytest.raises(InvalidError, match="mistyped"):
            Link.parse(text[:-1] + ALPHABET[other])


@pytest.mark.parametrize("size", [0, 1, 160, 162, 166])
def test_a_link_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidError):
        Link.parse(spelled((parts(link()) * 2)[:size]))
