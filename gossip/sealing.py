"""Sealing a bundle to devices: a slot for each that holds the file key, and the stream under it.

    slot = ChaCha20-Poly1305(key(slot), file key)      48 bytes
    key(use) = HKDF(X25519(e, sealing key), C(bundle/<use>) || e || sealing key)

Each key is used for one text, so the nonce is zeros. All that is random comes out of a seed of 32
random bytes, which a writer uses for one file and forgets. Who else can read a file, no reader
learns: slots and rows ascend, and only the owner of a sealing key finds his own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from nacl import bindings
from nacl.exceptions import CryptoError

from ledger.codec import context, encode
from ledger.errors import InvalidError
from ledger.keys import KEY_BYTES, hkdf, sha256

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ledger.codec import Value
    from ledger.keys import DeviceKeys

SLOT_BYTES: Final = 48
SLOTS_STEP: Final = 8
MAX_SLOTS: Final = 64
STREAM_BYTES: Final = bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
CHUNK_OVERHEAD_BYTES: Final = bindings.crypto_secretstream_xchacha20poly1305_ABYTES
VERSION: Final = 1
SEALED: Final = 1
_NONCE: Final = bytes(bindings.crypto_aead_chacha20poly1305_ietf_NPUBBYTES)
_SLOT: Final = context("bundle/slot")
_ROW: Final = context("bundle/row")
_SEED: Final = context("bundle/seed")
_MESSAGE: Final = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_FINAL: Final = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL


class Start(NamedTuple):
    """The header of a sealed bundle, which anybody can read.

    Attributes:
        ephemeral: X25519 key made for this file, 32 bytes.
        slots: ``SLOT_BYTES`` each, a multiple of ``SLOTS_STEP`` of them, at most ``MAX_SLOTS``.
        stream: What the stream begins with, ``STREAM_BYTES``.
    """

    ephemeral: bytes
    slots: bytes
    stream: bytes

    @property
    def slot_count(self) -> int:
        """How many slots there are, filled or not."""
        return len(self.slots) // SLOT_BYTES

    def encode(self) -> bytes:
        """Return the payload of the first frame."""
        return encode((VERSION, SEALED, *self))


def read_start(fields: list[Value]) -> Start:
    """Read what follows version and purpose.

    Raises:
        InvalidError: Not a key, slots and the beginning of a stream.
    """
    match fields:
        case [bytes(ephemeral), bytes(slots), bytes(stream), *_] if (
            len(ephemeral) == KEY_BYTES
            and len(stream) == STREAM_BYTES
            and 0 < len(slots) <= MAX_SLOTS * SLOT_BYTES
            and len(slots) % (SLOTS_STEP * SLOT_BYTES) == 0
        ):
            return Start(ephemeral, slots, stream)
        case _:
            raise InvalidError("a sealed bundle begins with a key, slots and a stream")


def agree(secret: bytes, public: bytes) -> bytes | None:
    """Return the X25519 of two keys, 32 bytes; None if ``public`` is of small order."""
    try:
        shared: bytes = bindings.crypto_scalarmult(secret, public)
    except CryptoError:
        return None
    return shared if any(shared) else None


def can_seal_to(public: bytes) -> bool:
    """Say whether anything can be sealed to a key that somebody published."""
    return agree(sha256(public), public) is not None


class Stream:
    """Chunks of a sealed bundle, one after the other, either way.

    Args:
        key: The file key.
        start: The file's header.
        bound: H of its payload; no chunk holds under another.
    """

    def __init__(self, key: bytes, start: Start, bound: bytes) -> None:
        self._state = bindings.crypto_secretstream_xchacha20poly1305_state()
        self._bound = bound
        # Writing begins as reading does: with a beginning that is given, not drawn by the library.
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(self._state, start.stream, key)

    def push(self, plain: bytes, *, final: bool = False) -> bytes:
        """Return the next chunk, ``CHUNK_OVERHEAD_BYTES`` longer than ``plain``."""
        tag = _FINAL if final else _MESSAGE
        chunk: bytes = bindings.crypto_secretstream_xchacha20poly1305_push(
            self._state, plain, self._bound, tag
        )
        return chunk

    def pull(self, chunk: bytes) -> tuple[bytes, bool] | None:
        """Return what the next chunk holds and whether it is the last; None if it does not hold."""
        try:
            plain, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(
                self._state, chunk, self._bound
            )
        except CryptoError:
            return None
        return (plain, tag == _FINAL) if tag in (_MESSAGE, _FINAL) else None


class Sealer:
    """What a writer makes for one file.

    Args:
        readers: Sealing keys of the devices that may read it, 1 to ``MAX_SLOTS``.
        seed: 32 random bytes, for this file alone.

    Attributes:
        start: The file's header.

    Raises:
        InvalidError: A sealing key that is none.
        ValueError: Nobody may read it, or too many.
    """

    def __init__(self, readers: Collection[bytes], seed: bytes) -> None:
        if not 1 <= len(readers) <= MAX_SLOTS:
            raise ValueError(f"{len(readers)} devices where 1 to {MAX_SLOTS} can be sealed to")
        secret = hkdf(seed, _SEED + b"ephemeral")
        ephemeral = bindings.crypto_scalarmult_base(secret)
        self._key = hkdf(seed, _SEED + b"file")
        self._shared = {key: _must_agree(secret, key) for key in readers}
        slots = [
            _lock(self._key, _derive(shared, _SLOT, ephemeral, key))
            for key, shared in self._shared.items()
        ]
        missing = -len(slots) % SLOTS_STEP
        padding = hkdf(seed, _SEED + b"padding", missing * SLOT_BYTES)
        slots += [padding[at : at + SLOT_BYTES] for at in range(0, len(padding), SLOT_BYTES)]
        stream = hkdf(seed, _SEED + b"stream", STREAM_BYTES)
        self.start = Start(ephemeral, b"".join(sorted(slots)), stream)

    def rows(self, rows: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
        """Return rows, each a sealing key and what its device alone may read, sealed; ascending."""
        ephemeral = self.start.ephemeral
        return tuple(
            sorted(
                _lock(row, _derive(self._shared[key], _ROW, ephemeral, key)) for key, row in rows
            )
        )

    def stream(self) -> Stream:
        """Return the stream to write the file with."""
        return Stream(self._key, self.start, sha256(self.start.encode()))


class Unsealed:
    """A sealed bundle that has a slot for this device.

    Args:
        key: The file key.
        row_key: Opens this device's row.
        start: The file's header.
        payload: Its bytes.

    Attributes:
        bound: H of ``payload``.
    """

    def __init__(self, key: bytes, row_key: bytes, start: Start, payload: bytes) -> None:
        self.bound = sha256(payload)
        self._row_key = row_key
        self._stream = Stream(key, start, self.bound)

    def pull(self, chunk: bytes) -> tuple[bytes, bool] | None:
        """As ``Stream.pull``."""
        return self._stream.pull(chunk)

    def row(self, rows: Iterable[bytes]) -> bytes | None:
        """Return what the first row for this device says, if there is one."""
        return next((row for sealed in rows if (row := _unlock(sealed, self._row_key))), None)


def unseal(start: Start, payload: bytes, keys: DeviceKeys) -> Unsealed | None:
    """Try all slots with a device's key; return None if it fits none."""
    public = keys.sealing_public
    shared = agree(keys.sealing_secret, start.ephemeral)
    if shared is None:
        return None
    slot_key = _derive(shared, _SLOT, start.ephemeral, public)
    for at in range(0, len(start.slots), SLOT_BYTES):
        key = _unlock(start.slots[at : at + SLOT_BYTES], slot_key)
        if key is not None:
            return Unsealed(key, _derive(shared, _ROW, start.ephemeral, public), start, payload)
    return None


def _must_agree(secret: bytes, public: bytes) -> bytes:
    shared = agree(secret, public)
    if shared is None:
        raise InvalidError("a sealing key of small order; nothing can be sealed to that device")
    return shared


def _derive(shared: bytes, use: bytes, ephemeral: bytes, sealing: bytes) -> bytes:
    return hkdf(shared, use + ephemeral + sealing)


def _lock(plain: bytes, key: bytes) -> bytes:
    sealed: bytes = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plain, b"", _NONCE, key)
    return sealed


def _unlock(sealed: bytes, key: bytes) -> bytes | None:
    if len(sealed) < bindings.crypto_aead_chacha20poly1305_ietf_ABYTES:
        return None
    try:
        plain: bytes = bindings.crypto_aead_chacha20poly1305_ietf_decrypt(sealed, b"", _NONCE, key)
    except CryptoError:
        return None
    return plain
