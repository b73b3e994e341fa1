"""The file of a vault: read as the document says, and refused as soon as a byte is not right."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from hashlib import sha256
from hmac import digest
from pathlib import Path
from typing import TYPE_CHECKING

import cbor2
import pytest
from nacl import bindings

from ledger.codec import encode
from ledger.errors import InvalidError, StoreError
from mesh import vault_file
from mesh.home import HomeError
from mesh.passphrase import (
    MAX_PASSPHRASE_BYTES,
    MOST_MEMORY,
    MOST_PASSES,
    USUAL,
    Cost,
    PassphraseError,
    check_passphrase,
    stretch,
)
from mesh.paths import VAULT
from mesh.store_key import StoreKey
from mesh.vault_file import (
    VaultError,
    VaultFile,
    Wrapped,
    WrongPassphraseError,
    clear_partial,
    destroy,
    read_vault,
    write_vault,
)
from tests.mesh.vaults import CHEAP, OTHER, PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = StoreKey(bytes(range(32)))
RANDOM = bytes(range(100, 140))
WRAPPED = VaultFile.wrap(KEY, PASSPHRASE, CHEAP, RANDOM)
OPEN = VaultFile.of(KEY)
DOCUMENT = Path(__file__).parents[2] / "docs" / "at-rest.md"


def examples() -> list[bytes]:
    """Return the files that the document shows."""
    shown = re.findall(r"^((?: {4}[0-9a-f ]+\n)+)", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    return [bytes.fromhex("".join(block.split())) for block in shown]


def hkdf(secret: bytes, label: bytes) -> bytes:
    """HKDF-SHA256 of one block, from the words of RFC 5869."""
    return digest(digest(bytes(32), secret, "sha256"), label + b"\x01", "sha256")


# --- agreement ----------------------------------------------------------------------------------


def test_the_files_in_the_document_are_what_is_written() -> None:
    assert examples() == [OPEN.encode(), WRAPPED.encode(), sealed()]


def sealed() -> bytes:
    return KEY.seal("words to show", b"seen by nobody", lambda size: RANDOM[:size])


def test_the_files_in_the_document_are_read_by_its_words_alone() -> None:
    # given what the document says, without any of our code
    for raw in examples()[:2]:
        assert raw[-8:] == sha256(b"passalong/vault/file/1" + raw[:-8]).digest()[:8]
    open_file, wrapped = (cbor2.loads(raw[:-8]) for raw in examples()[:2])
    version, name, key = open_file
    # then the key has its name
    assert (version, key) == (1, bytes(range(32)))
    assert name == hkdf(key, b"passalong/vault/name/1")[:16]
    # and the box opens with the passphrase
    version, name, passes, memory, salt, nonce, box = wrapped
    stretched = bindings.crypto_pwhash_alg(32, PASSPHRASE.encode(), salt, passes, memory, 2)
    bound = b"passalong/vault/wrap/1" + cbor2.dumps([name, passes, memory, salt])
    opened = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(box, bound, nonce, stretched)
    assert (version, opened) == (1, key)
    # and what is sealed, with the key
    raw, seal = examples()[2], hkdf(key, b"passalong/vault/seal/1")
    bound = b"passalong/vault/seal/1words to show"
    plain = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(raw[24:], bound, raw[:24], seal)
    assert plain == b"seen by nobody"


@pytest.mark.parametrize("file", [OPEN, WRAPPED])
def test_what_is_written_is_read_again(tmp_path: Path, file: VaultFile) -> None:
    assert read_vault(tmp_path) is None
    write_vault(tmp_path, file)
    assert read_vault(tmp_path) == file
    assert (tmp_path / VAULT).stat().st_mode & 0o777 == 0o600


def test_a_passphrase_opens_however_a_keyboard_spells_it() -> None:
    composed, apart = "caf\u00e9 au lait", "cafe\u0301 au lait"
    assert VaultFile.wrap(KEY, composed, CHEAP, RANDOM).unwrap(apart) == KEY
    assert WRAPPED.unwrap(PASSPHRASE) == KEY


def test_the_usual_cost_is_what_a_phone_can_bear_and_no_less_work_than_moderate() -> None:
    moderate = (
        bindings.crypto_pwhash_argon2id_OPSLIMIT_MODERATE,
        bindings.crypto_pwhash_argon2id_MEMLIMIT_MODERATE,
    )
    assert USUAL.memory <= 128 << 20
    assert USUAL.passes * USUAL.memory >= moderate[0] * moderate[1]


# --- refusal: the file --------------------------------------------------------------------------


def refused(folder: Path, raw: bytes) -> None:
    (folder / VAULT).write_bytes(raw)
    with pytest.raises(VaultError, match="is damaged, or was wiped") as refusal:
        read_vault(folder)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("file", [OPEN, WRAPPED])
def test_a_file_with_any_byte_changed_is_damaged(tmp_path: Path, file: VaultFile) -> None:
    raw = file.encode()
    for at in range(len(raw)):
        for flip in (1, 0x80):
            refused(tmp_path, raw[:at] + bytes([raw[at] ^ flip]) + raw[at + 1 :])


@pytest.mark.parametrize("file", [OPEN, WRAPPED])
def test_a_file_that_is_cut_or_goes_on_is_damaged(tmp_path: Path, file: VaultFile) -> None:
    raw = file.encode()
    for size in range(len(raw)):
        refused(tmp_path, raw[:size])
    for more in (b"\0", bytes(10_000)):
        refused(tmp_path, raw + more)
    refused(tmp_path, bytes(len(raw)))


def checked(*said: object) -> bytes:
    """Return what a hostile hand writes, its check right."""
    raw = encode(said)
    return raw + sha256(b"passalong/vault/file/1" + raw).digest()[:8]


HELD = WRAPPED.held
assert isinstance(HELD, Wrapped)
BOX = HELD.box
FIELDS = [1, KEY.name, CHEAP.passes, CHEAP.memory, HELD.salt, HELD.nonce, HELD.box]


def test_the_hostile_hand_would_be_believed_if_it_changed_nothing() -> None:
    assert checked(*FIELDS) == WRAPPED.encode()


@pytest.mark.parametrize(
    "said",
    [
        [],
        [2, KEY.name, KEY.raw],
        [1, KEY.name],
        [1, KEY.name, KEY.raw, 0],
        [1, bytes(16), KEY.raw],
        [1, KEY.name, KEY.raw[:31]],
        [1, KEY.name, KEY.raw + b"\0"],
        [1, KEY.name, 5],
        [2, *FIELDS[1:]],
        [*FIELDS, 0],
        [1, KEY.name[:15], *FIELDS[2:]],
        [*FIELDS[:4], HELD.salt[:15], *FIELDS[5:]],
        [*FIELDS[:5], HELD.nonce[:23], HELD.box],
        [*FIELDS[:6], HELD.box[:47]],
        [*FIELDS[:6], HELD.box + b"\0"],
        *([*FIELDS[:2], passes, *FIELDS[3:]] for passes in (-1, 0, MOST_PASSES + 1, 1 << 63)),
        *(
            [*FIELDS[:3], memory, *FIELDS[4:]]
            for memory in (-1, 0, (8 << 10) - 1, MOST_MEMORY + 1, 1 << 63)
        ),
    ],
)
def test_what_no_vault_says_is_refused_before_anything_is_reckoned(
    tmp_path: Path, said: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def reckon(*_: object) -> bytes:
        raise AssertionError

    monkeypatch.setattr(vault_file, "stretch", reckon)
    refused(tmp_path, checked(*said))


@pytest.mark.parametrize("place", range(1, 7))
def test_a_field_that_a_hostile_hand_changed_opens_nothing(place: int) -> None:
    for changed in changes_of(FIELDS[place]):
        file = VaultFile.decode(checked(*FIELDS[:place], changed, *FIELDS[place + 1 :]))
        with pytest.raises(WrongPassphraseError):
            file.unwrap(PASSPHRASE)


def changes_of(field: object) -> list[object]:
    if isinstance(field, bytes):
        return [field[:at] + bytes([field[at] ^ 1]) + field[at + 1 :] for at in range(len(field))]
    assert isinstance(field, int)
    return [field + 1, field + (1 << 10)] if field > 1 << 10 else [field + 1]


def test_a_box_of_another_key_under_the_right_passphrase_opens_nothing() -> None:
    other = StoreKey(bytes(32))
    forged = replace(VaultFile.wrap(other, PASSPHRASE, CHEAP, RANDOM), name=KEY.name)
    with pytest.raises(WrongPassphraseError):
        forged.unwrap(PASSPHRASE)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Path.mkdir, "cannot be read: Is a directory"),
        (lambda path: path.symlink_to("/dev/zero"), "cannot be read: .*; check that it is a file"),
        (os.mkfifo, "is damaged"),
    ],
)
def test_what_is_no_file_is_said(tmp_path: Path, make: Callable[[Path], object], why: str) -> None:
    make(tmp_path / VAULT)
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(VaultError, match=why):
        read_vault(tmp_path)
    assert len(set(Path("/proc/self/fd").iterdir())) == len(before)


# --- refusal: passphrases -----------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [OTHER, PASSPHRASE + " ", PASSPHRASE.upper(), PASSPHRASE[:-1]])
def test_another_passphrase_opens_nothing_and_says_no_more(wrong: str) -> None:
    with pytest.raises(WrongPassphraseError, match="not the passphrase of this home") as refusal:
        WRAPPED.unwrap(wrong)
    assert refusal.value.__cause__ is refusal.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "an empty passphrase guards nothing"),
        (" \n\t", "an empty passphrase guards nothing"),
        ("x" * (MAX_PASSPHRASE_BYTES + 1), "longer than 1,024 bytes"),
        ("half \ud800", "half a character"),
    ],
)
def test_what_is_no_passphrase_is_refused(text: str, why: str) -> None:
    with pytest.raises(PassphraseError, match=why):
        VaultFile.wrap(KEY, text, CHEAP, RANDOM)
    with pytest.raises(PassphraseError, match=why):
        WRAPPED.unwrap(text)
    assert len(check_passphrase("x" * MAX_PASSPHRASE_BYTES)) == MAX_PASSPHRASE_BYTES


def test_where_there_is_no_passphrase_there_is_nothing_to_unlock() -> None:
    with pytest.raises(PassphraseError, match="has no passphrase"):
        OPEN.unwrap(PASSPHRASE)


def test_a_machine_without_the_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError("Could not compute the key")

    monkeypatch.setattr(bindings, "crypto_pwhash_alg", fail)
    with pytest.raises(PassphraseError, match="takes 128 MiB of memory; close something"):
        stretch(PASSPHRASE, bytes(16), USUAL)


@pytest.mark.parametrize(
    ("passes", "memory"),
    [(0, 8_192), (MOST_PASSES + 1, 8_192), (1, 8_191), (1, MOST_MEMORY + 1)],
)
def test_a_cost_that_is_absurd_cannot_be_asked_for(passes: int, memory: int) -> None:
    with pytest.raises(InvalidError, match="out of range"):
        Cost(passes, memory)


# --- refusal: what is sealed --------------------------------------------------------------------


def test_what_is_sealed_opens_for_its_purpose_with_its_key_and_whole_or_not_at_all() -> None:
    raw = sealed()
    assert KEY.open("words to show", raw) == b"seen by nobody"
    wrong: list[tuple[StoreKey, str, bytes]] = [
        (KEY, "words to sho", raw),
        (KEY, "words to show ", raw),
        (KEY, "", raw),
        (StoreKey(bytes(32)), "words to show", raw),
        *((KEY, "words to show", raw[:size]) for size in range(len(raw))),
        (KEY, "words to show", raw + b"\0"),
    ]
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        wrong.append((KEY, "words to show", changed))
    for key, purpose, given in wrong:
        with pytest.raises(StoreError, match="of this home cannot be opened"):
            key.open(purpose, given)


def test_the_same_twice_does_not_look_the_same() -> None:
    dice = iter([bytes(24), bytes([1] * 24)])
    once, again = (KEY.seal("a", b"same", lambda _: next(dice)) for _ in range(2))
    assert once[24:] != again[24:]


def test_a_store_key_is_of_32_bytes() -> None:
    for size in (0, 31, 33):
        with pytest.raises(InvalidError):
            StoreKey(bytes(size))


@pytest.mark.parametrize("shown", [KEY, OPEN, WRAPPED, HELD])
def test_nothing_secret_is_shown(shown: object) -> None:
    text = repr(shown)
    for secret in (KEY.raw, KEY._sealing, BOX):
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text


# --- what stood there before --------------------------------------------------------------------


def holding(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


def test_a_vault_that_is_replaced_is_overwritten_once_the_new_one_is_there(tmp_path: Path) -> None:
    write_vault(tmp_path, OPEN)
    before = holding(tmp_path / VAULT)
    write_vault(tmp_path, WRAPPED)
    assert read_vault(tmp_path) == WRAPPED
    assert os.read(before, 1_000) == bytes(len(OPEN.encode()))
    os.close(before)


def test_a_vault_that_could_not_be_replaced_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_vault(tmp_path, OPEN)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(HomeError, match="is full"):
        write_vault(tmp_path, WRAPPED)
    assert read_vault(tmp_path) == OPEN


def test_what_is_destroyed_is_overwritten_and_synced_before_its_name_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_vault(tmp_path, OPEN)
    before, path = holding(tmp_path / VAULT), tmp_path / VAULT
    seen: list[tuple[str, bool, bool]] = []

    def noting(name: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(*given: object, **named: object) -> None:
            is_zero = not any(os.pread(before, 1_000, 0))
            seen.append((name, is_zero, path.exists()))
            real(*given, **named)

        return call

    for name in ("fsync", "unlink"):
        monkeypatch.setattr(os, name, noting(name, getattr(os, name)))
    destroy(path)
    assert seen == [("fsync", True, True), ("unlink", True, True), ("fsync", True, False)]
    os.close(before)


def test_nothing_is_no_obstacle_to_its_end(tmp_path: Path) -> None:
    destroy(tmp_path / VAULT)
    clear_partial(tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_second_name_or_a_link_is_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    for make in (Path.hardlink_to, Path.symlink_to):
        make(tmp_path / VAULT, precious)
        destroy(tmp_path / VAULT)
        assert not (tmp_path / VAULT).is_symlink()
        assert precious.read_bytes() == b"mine"


def test_what_a_killed_writer_left_is_destroyed(tmp_path: Path) -> None:
    partial = tmp_path / f".{VAULT}.partial"
    partial.write_bytes(OPEN.encode())
    left = holding(partial)
    clear_partial(tmp_path)
    assert not partial.exists()
    assert not any(os.read(left, 1_000))
    os.close(left)
