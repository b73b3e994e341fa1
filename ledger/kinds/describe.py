"""Any body as plain values, for people who look into a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.errors import MeaninglessError
from ledger.kinds import device, half, post, profile
from ledger.kinds.body import read_open

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ledger.codec import Value

_DECODERS: Final[Mapping[str, Callable[[bytes], object]]] = {
    device.KIND: device.Device.decode,
    profile.KIND: profile.Profile.decode,
    post.KIND: post.Post.decode,
    half.KIND: half.WithdrawalBody.decode,
}


def describe(kind: str, body: bytes | None) -> list[Value] | None:
    """Return what ``body`` says: its time and its fields, in the order they are written.

    Args:
        kind: The kind its header names. Of kinds that are not known here any open body will do.
        body: The body, or None where it is missing.

    Returns:
        ``[time, field, ...]``, bytes as bytes; None if the body is missing, sealed, or means
        nothing.
    """
    if body is None:
        return None
    try:
        time, fields = read_open(body)
        if kind in _DECODERS:
            _DECODERS[kind](body)
    except MeaninglessError:
        return None
    return [time, *fields]
