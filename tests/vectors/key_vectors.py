"""Vectors of words, keys, signatures, certificates and links."""

from __future__ import annotations

import base64
from hashlib import sha256

from ledger.codec import context
from ledger.keys import BITCOIN_SEED_LABEL, PERSON_SEED_LABEL, PersonKey, SigningKey
from ledger.link import Link
from tests.vectors.cast import device, dice, person
from tests.vectors.collection import Collection
from tests.vectors.curve import BASE, NEUTRAL, ORDER, TORSION, P, Point, challenge, scalar

_SECRET, _NONCE = 12345678901234567890, 987654321


def keys() -> Collection:
    file = Collection("recovery words, derived seeds, Ed25519 as it is checked, certificates")
    _words(file)
    _derived(file)
    _signatures(file)
    _hostile_signatures(file)
    _certificates(file)
    return file


def _words(file: Collection) -> None:
    ada = person("ada")
    file.good("words", "Ada's", words=" ".join(ada.words))
    file.good("words", "all zeros", words=" ".join(PersonKey(bytes(32)).words))
    file.good("words", "all ones", words=" ".join(PersonKey(b"\xff" * 32).words))
    file.good("words", "in capitals, with odd spaces", words="\n " + "  ".join(ada.words).upper())
    swapped = [ada.words[1], ada.words[0], *ada.words[2:]]
    file.bad("words", "23 words", words=" ".join(ada.words[:23]))
    file.bad("words", "25 words", words=" ".join([*ada.words, ada.words[0]]))
    fits = "abandon " * 11 + "about"
    file.bad("words", "12 words that fit together", words=fits)
    file.bad("words", "none", words="")
    file.bad("words", "two words changed places", words=" ".join(swapped))
    file.bad("words", "checksum", words=" ".join(["abandon"] * 24))
    file.bad("words", "a word that is not in the list", words=" ".join(["gossip", *ada.words[1:]]))
    short = " ".join([ada.words[0][:3], *ada.words[1:]])
    file.bad("words", "a word cut to three letters", words=short)


def _derived(file: Collection) -> None:
    secret = person("ada").entropy
    file.good("hkdf", "person seed", secret=secret, label=PERSON_SEED_LABEL, length=32)
    file.good("hkdf", "reserved: Bitcoin", secret=secret, label=BITCOIN_SEED_LABEL, length=32)
    file.good("hkdf", "more than one block", secret=secret, label=b"", length=82)


def _signatures(file: Collection) -> None:
    key = device("ada").signing
    for size in (0, 1, 1023):
        message = (dice("message") * 32)[:size]
        signature = key.sign(message)
        given = {"public": key.public, "message": message, "signature": signature}
        file.good("signature", f"over {size} bytes", **given)
    file.good(
        "signature",
        "RFC 8032, section 7.1, test 1",
        public="d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        message="",
        signature="e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
        "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    )
    message = b"as signed"
    right = key.sign(message)
    cases = [
        ("another message", key.public, b"as sinned", right),
        ("another key", device("ben").public, message, right),
        ("a bit of R flipped", key.public, message, bytes([right[0] ^ 1]) + right[1:]),
        ("a bit of S flipped", key.public, message, right[:32] + _flip(right[32:])),
        ("63 bytes", key.public, message, right[:63]),
        ("65 bytes", key.public, message, right + b"\0"),
        ("no bytes", key.public, message, b""),
        ("all zeros", key.public, message, bytes(64)),
        ("a public key of 31 bytes", key.public[:31], message, right),
        ("S + L, which is S spelled again", key.public, message, _plus(right, ORDER)),
        ("S with its highest bit set", key.public, message, _plus(right, 1 << 255)),
        ("S = L", key.public, message, right[:32] + scalar(ORDER)),
    ]
    for why, public, text, signature in cases:
        file.bad("signature", why, public=public, message=text, signature=signature)


def _hostile_signatures(file: Collection) -> None:
    """The equation of these holds, with or without the cofactor, unless the name says otherwise."""
    for order, point in ((1, NEUTRAL), (2, TORSION.times(4)), (4, TORSION.times(2)), (8, TORSION)):
        why = f"a public key of order {order}"
        file.bad("signature", why, **_signed_by(point.encode(), 0, Point(*point)))
    again = {
        "order 1, spelled with y = p + 1": (P + 1).to_bytes(32, "little"),
        "order 1, with the sign of x set": (1 | 1 << 255).to_bytes(32, "little"),
        "order 4, spelled with y = p": P.to_bytes(32, "little"),
    }
    for why, public in again.items():
        point = TORSION.times(2) if "order 4" in why else NEUTRAL
        file.bad("signature", f"a public key of {why}", **_signed_by(public, 0, point))
    file.bad("signature", "a public key that is no point", **_signed_by(scalar(2), 0, NEUTRAL))
    pure = BASE.times(_SECRET).encode()
    r = NEUTRAL.encode()
    s = challenge(r, pure, b"x") * _SECRET % ORDER
    file.bad("signature", "R of order 1", public=pure, message=b"x", signature=r + scalar(s))
    mixed = BASE.times(_SECRET).plus(TORSION).encode()
    fits = _signed_by(mixed, _SECRET, TORSION)
    file.good("signature", "a key with a part of order 8 that the challenge cancels", **fits)
    fails = _signed_by(mixed, _SECRET, TORSION, cancels=False)
    file.bad("signature", "the equation holds only when multiplied by the cofactor", **fails)
    r = BASE.times(_NONCE).plus(TORSION).encode()
    s = (_NONCE + challenge(r, pure, b"x") * _SECRET) % ORDER
    why = "R has a part of order 8; the equation holds only when multiplied by the cofactor"
    file.bad("signature", why, public=pure, message=b"x", signature=r + scalar(s))


def _signed_by(
    public: bytes, secret: int, small: Point, *, cancels: bool = True
) -> dict[str, bytes]:
    """Sign with a key that has a part of small order, which the challenge cancels or does not."""
    r = BASE.times(_NONCE).encode()
    for count in range(1000):
        message = b"attempt %d" % count
        factor = challenge(r, public, message)
        if (small.times(factor % 8) == NEUTRAL) is cancels:
            s = (_NONCE + factor * secret) % ORDER
            return {"public": public, "message": message, "signature": r + scalar(s)}
    raise AssertionError("one in eight is enough")


def _flip(scalar_bytes: bytes) -> bytes:
    return bytes([scalar_bytes[0] ^ 1]) + scalar_bytes[1:]


def _plus(signature: bytes, more: int) -> bytes:
    return signature[:32] + scalar(int.from_bytes(signature[32:], "little") + more)


def _certificates(file: Collection) -> None:
    ada, phone = person("ada"), device("ada")
    root, right = ada.signing.public, ada.certify(phone.public)
    file.good("certificate", "Ada's phone", person=root, device=phone.public, certificate=right)
    bare = ada.signing.sign(phone.public)
    other = ada.signing.sign(context("block") + phone.public)
    cases = [
        ("another person", person("ben").signing.public, phone.public, right),
        ("another device", root, device("ben").public, right),
        ("signed without its context", root, phone.public, bare),
        ("signed under another context", root, phone.public, other),
        ("person and device changed places", phone.public, root, right),
    ]
    for why, who, what, certificate in cases:
        file.bad("certificate", why, person=who, device=what, certificate=certificate)


def links() -> Collection:
    file = Collection("the passalong: link")
    ada, phone = person("ada"), device("ada")
    certificate = ada.certify(phone.public)
    link = Link(ada.signing.public, phone.public, phone.sealing_public, certificate)
    text = link.encode()
    file.good("link", "Ada's", text=text)
    file.good("link", "in capitals, as in a QR code", text=text.upper())
    file.good("link", "in odd letter case, with space around it", text=f" \n{text.title()}\t")
    file.good("link", "of the same person's other device", text=_other_device_link().encode())
    digits = text.removeprefix("passalong:")
    payload = base64.b32decode(digits.upper())[:-4]
    wrong = ada.certify(device("ben").public)
    cases = {
        "nothing": "",
        "scheme missing": digits,
        "another scheme": "passalongs:" + digits,
        "nothing after the scheme": "passalong:",
        "one letter changed": text[:50] + ("a" if text[50] != "a" else "b") + text[51:],
        "two letters changed places": text[:60] + text[61] + text[60] + text[62:],
        "the last letter missing": text[:-1],
        "the last eight letters missing": text[:-8],
        "a letter more": text + "a",
        "padding": text + "========",
        "a digit that base32 has not": text[:40] + "1" + text[41:],
        "a long s, which is s in capitals": text[:10] + text[10:].replace("s", "\u017f"),
        "a space inside": text[:40] + " " + text[40:],
        "version 2": _text(b"\x02" + payload[1:]),
        "the check of another context": _text(payload, b"passalong/id/1"),
        "certificate of another device": _text(payload[:-64] + wrong),
        "the person's key is another's": _text(
            payload[:1] + person("ben").signing.public + payload[33:]
        ),
        "a person of small order": _text(payload[:1] + NEUTRAL.encode() + payload[33:]),
        "two zero bytes before the check": _text(payload + bytes(2)),
        "longer than 1,024 characters": text + "a" * 1_024,
    }
    for why, wrong_text in cases.items():
        file.bad("link", why, text=wrong_text)
    return file


def _other_device_link() -> Link:
    ada, tablet = person("ada"), SigningKey(dice("device ada's tablet"))
    sealing = device("ben").sealing_public
    return Link(ada.signing.public, tablet.public, sealing, ada.certify(tablet.public))


def _text(payload: bytes, label: bytes = b"passalong/link/1") -> str:
    check = sha256(label + payload).digest()[:4]
    return "passalong:" + base64.b32encode(payload + check).decode().rstrip("=").lower()
