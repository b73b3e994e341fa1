"""Vectors of sealed bundles: slots, chunks, and what header, rows and end say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nacl import bindings

from gossip.sealing import SLOT_BYTES, Sealer, Start
from ledger.codec import encode
from ledger.keys import sha256
from tests.vectors.cast import device, dice

if TYPE_CHECKING:
    from ledger.keys import DeviceKeys
    from tests.vectors.collection import Collection

_SEED, _OTHER = dice("a file"), dice("another file")
_SMALL_ORDER: Final = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)


def reader(number: int) -> DeviceKeys:
    return device(f"reader {number}")


def sealer_to(count: int, seed: bytes = _SEED) -> Sealer:
    return Sealer([reader(number).sealing_public for number in range(count)], seed)


# --- what opens them ----------------------------------------------------------------------------


def starts(file: Collection) -> None:
    for count in (1, 8, 9, 64):
        start = sealer_to(count).start
        file.good("sealed start", f"to {count} devices", raw=start.encode())
    start = sealer_to(1).start
    e, slots, stream = start
    later = encode((1, 1, *start, "later"))
    file.good("sealed start", "with a later version's field", raw=later)
    fields: dict[str, list[object]] = {
        "no fields": [],
        "no stream": [e, slots],
        "a key of 31 bytes": [e[:31], slots, stream],
        "a key in text": ["key", slots, stream],
        "no slots": [e, b"", stream],
        "one slot": [e, slots[:SLOT_BYTES], stream],
        "a slot of 47 bytes": [e, slots[:-1], stream],
        "nine slots": [e, slots + slots[:SLOT_BYTES], stream],
        "72 slots": [e, slots * 9, stream],
        "slots in an array": [e, [slots], stream],
        "a stream of 23 bytes": [e, slots, stream[:-1]],
        "a stream of 25 bytes": [e, slots, stream + b"s"],
        "null for a stream": [e, slots, None],
    }
    for why, some in fields.items():
        file.bad("sealed start", why, raw=encode([1, 1, *some]))
    file.bad("sealed start", "version 2", raw=encode([2, 1, *start]))
    file.bad("sealed start", "purpose 2", raw=encode([1, 2, *start]))
    file.bad("sealed start", "a byte more", raw=start.encode() + b"\0")


def chunks(file: Collection) -> None:
    said = [(b"one", False), (dice("two") * 40, False), (b"3", False), (b"end", True)]

    def written(count: int) -> list[bytes]:
        stream = sealer_to(count).stream()
        return [stream.push(plain, final=final) for plain, final in said]

    for count in (1, 8, 9):
        start, chunks = sealer_to(count).start.encode(), written(count)
        for number in sorted({0, count // 2, count - 1}):
            secret = reader(number).sealing_secret
            name = f"of {count} devices number {number + 1}"
            file.good("chunks", name, start=start, secret=secret, chunks=chunks)
    sizes = [dice("a byte") * 3 + bytes(n) for n in range(18)]
    sealer = sealer_to(1)
    stream = sealer.stream()
    file.good(
        *("chunks", "of 18 lengths in a row"),
        start=sealer.start.encode(),
        secret=reader(0).sealing_secret,
        chunks=[stream.push(plain) for plain in sizes],
    )
    _bad_chunks(file, sealer)


def _bad_chunks(file: Collection, sealer: Sealer) -> None:
    start, stream = sealer.start, sealer.stream()
    secret, payload = reader(0).sealing_secret, start.encode()
    one, two = stream.push(b"one"), stream.push(b"two")
    wrong: dict[str, list[bytes]] = {
        "the second chunk first": [two],
        "a chunk twice": [one, one],
        "a chunk cut short": [one[:-1]],
        "a chunk and a byte": [one + b"0"],
        "a chunk with a bit flipped in its tag": [bytes([one[0] ^ 1]) + one[1:]],
        "a chunk with a bit flipped in what it holds": [one[:2] + bytes([one[2] ^ 1]) + one[3:]],
        "a chunk with a bit flipped in its check": [one[:-1] + bytes([one[-1] ^ 0x80])],
        "a chunk of 16 bytes": [bytes(16)],
        "a chunk of 17 zeros": [bytes(17)],
    }
    for tag in (1, 2):
        wrong[f"a chunk with tag {tag}"] = [_pushed(sealer, tag, sha256(payload))]
    wrong["a chunk without associated data"] = [_pushed(sealer, 0, b"")]
    for why, some in wrong.items():
        file.bad("chunks", why, start=payload, secret=secret, chunks=some)
    others: dict[str, tuple[bytes, DeviceKeys]] = {
        "a device without a slot": (payload, reader(1)),
        "the sealing key of another file's slots": (sealer_to(1, _OTHER).start.encode(), reader(0)),
        "another stream": (start._replace(stream=bytes(24)).encode(), reader(0)),
        "its slots in another order": (_turned(start).encode(), reader(0)),
        "a slot with a bit flipped": (_spoilt(start), reader(0)),
    }
    for why, (raw, keys) in others.items():
        file.bad("chunks", why, start=raw, secret=keys.sealing_secret, chunks=[one])
    for key in map(bytes.fromhex, _SMALL_ORDER):
        raw = start._replace(ephemeral=key).encode()
        why = f"a key of small order: {key[:2].hex()} and so on"
        file.bad("chunks", why, start=raw, secret=secret, chunks=[])


def _pushed(sealer: Sealer, tag: int, bound: bytes) -> bytes:
    """Return the first chunk of a file, with any tag and any associated data."""
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(
        state, sealer.start.stream, sealer._key
    )
    chunk: bytes = bindings.crypto_secretstream_xchacha20poly1305_push(state, b"one", bound, tag)
    return chunk


def _turned(start: Start) -> Start:
    return start._replace(slots=start.slots[SLOT_BYTES:] + start.slots[:SLOT_BYTES])


def _spoilt(start: Start) -> bytes:
    """Return a beginning of which every slot has a bit flipped."""
    slots = bytearray(start.slots)
    slots[::SLOT_BYTES] = bytes(byte ^ 1 for byte in slots[::SLOT_BYTES])
    return start._replace(slots=bytes(slots)).encode()


# --- rows ---------------------------------------------------------------------------------------


def sealed_rows(file: Collection) -> None:
    sealer = sealer_to(9)
    payload = sealer.start.encode()
    said = [(reader(n).sealing_public, f"row {n}".encode()) for n in range(9)]
    all_rows = sealer.rows(said)
    for number in (0, 8):
        secret, name = reader(number).sealing_secret, f"that of device {number + 1} of 9"
        file.good("sealed row", name, start=payload, secret=secret, rows=all_rows)
    one, other = reader(0).sealing_secret, sealer.rows(said[1:])
    file.good("sealed row", "none for this device", start=payload, secret=one, rows=other)
    file.good("sealed row", "no rows", start=payload, secret=one, rows=[])
    slot = sealer.start.slots[:SLOT_BYTES]
    none = [b"", bytes(15), bytes(16), slot, all_rows[0][:-1]]
    file.good("sealed row", "what is none is passed over", start=payload, secret=one, rows=none)
    file.bad(
        *("sealed row", "a device without a slot"),
        start=payload,
        secret=reader(9).sealing_secret,
        rows=all_rows,
    )
