"""How Python reads a vector: one function for each ``of``, from ``in`` to ``out``.

Bytes are hex in both. A reader raises ``InvalidError`` for what a vector calls bad.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.vectors.read_bodies import (
    read_agreement_body,
    read_body,
    read_device,
    read_half_block,
    read_post,
    read_profile,
    read_withdrawal_body,
)
from tests.vectors.read_control import read_gaps, read_seen
from tests.vectors.read_gossip import read_bundle, read_entry, read_message
from tests.vectors.read_ledger import (
    read_branches,
    read_cbor,
    read_certificate,
    read_header,
    read_hkdf,
    read_kept_proof,
    read_kept_statements,
    read_link,
    read_named_body,
    read_pairs,
    read_proof,
    read_run,
    read_signature,
    read_statement,
    read_words,
)
from tests.vectors.read_mail import read_envelope
from tests.vectors.read_sealed import (
    read_chunks,
    read_row_of,
    read_sealed_bundle,
    read_sealed_end,
    read_sealed_header,
    read_sealed_row,
    read_start_of,
)
from tests.vectors.read_standing import read_keyed, read_scope, read_standing

if TYPE_CHECKING:
    from collections.abc import Callable


READERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "cbor": read_cbor,
    "words": read_words,
    "hkdf": read_hkdf,
    "signature": read_signature,
    "certificate": read_certificate,
    "header": read_header,
    "named body": read_named_body,
    "run": read_run,
    "fork proof": read_proof,
    "kept proof": read_kept_proof,
    "branches": read_branches,
    "statement": read_statement,
    "kept statements": read_kept_statements,
    "link": read_link,
    "pairs": read_pairs,
    "body": read_body,
    "device": read_device,
    "profile": read_profile,
    "post": read_post,
    "agreement": read_agreement_body,
    "withdraw": read_withdrawal_body,
    "half-block": read_half_block,
    "message": read_message,
    "envelope": read_envelope,
    "frontier entry": read_entry,
    "bundle": read_bundle,
    "sealed start": read_start_of,
    "chunks": read_chunks,
    "sealed row": read_sealed_row,
    "row": read_row_of,
    "sealed header": read_sealed_header,
    "end": read_sealed_end,
    "sealed bundle": read_sealed_bundle,
    "seen": read_seen,
    "gaps": read_gaps,
    "standing": read_standing,
    "scope": read_scope,
    "keyed": read_keyed,
}


def read(of: str, given: dict[str, Any]) -> dict[str, Any]:
    """Read a vector's ``in``.

    Raises:
        InvalidError: It is a bad one.
    """
    return READERS[of](given)
