"""What is fuzzed: each decoder, the one error it may raise, and what must hold where it accepts.

A target reads any bytes. What it accepts must have one spelling: written again, it is the same
bytes. A signature or checksum stops nearly every changed input, so decoders behind one have a
second target in which it always holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gossip.bundle import NotABundleError
from gossip.bundle_header import MAX_ROW_BYTES, read_end, read_header, read_row
from gossip.envelope import MAX_ENVELOPE_BYTES, decode_envelope
from gossip.frontier import MAX_ENTRY_BYTES, FrontierEntry, decode_entry
from gossip.postal import encode_postal
from gossip.sim.trace import read_trace
from ledger.block import MAX_HEADER_BYTES, SALT_BYTES, decode_header, encode_header
from ledger.codec import decode, encode
from ledger.errors import InvalidError, MeaninglessError
from ledger.fork import decode_proof
from ledger.keys import SIGNATURE_BYTES, WORDS, PersonKey, verify
from ledger.kinds.body import read_open
from ledger.kinds.device import Device
from ledger.kinds.half import AgreementBody, WithdrawalBody
from ledger.kinds.post import Post
from ledger.kinds.profile import Profile
from ledger.link import MAX_LINK_CHARACTERS, Link
from ledger.statement import MAX_STATEMENT_BYTES
from tools import fuzz_readers as read
from tools import fuzz_seeds as seeds
from tools.fuzz_control_targets import CONTROL_TARGETS
from tools.fuzz_meeting_targets import MEETING_TARGETS
from tools.fuzz_readers import Kind, one_spelling
from tools.fuzz_seeds import WORD_LIST
from tools.fuzz_session_targets import SESSION_TARGETS
from tools.fuzz_target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BODY_BYTES: Final = 2_048
_MANY_BYTES: Final = 4_096
_STATEMENT_BYTES: Final = MAX_STATEMENT_BYTES + SIGNATURE_BYTES + 8


def accept(_public: bytes, _message: bytes, _signature: bytes) -> bool:
    """Take any signature."""
    return True


def _kind(
    name: str,
    of: str,
    decode_kind: Callable[[bytes], Kind],
    some: Callable[[], Sequence[bytes]],
    agree: Callable[[bytes, Any], None] = read.check_kind,
) -> Target[Any]:
    of = f"ledger.kinds.{of}.decode"
    return Target(
        name, of, MeaninglessError, decode_kind, agree, some, _BODY_BYTES, cbor_at=SALT_BYTES
    )


TARGETS: Final[Sequence[Target[Any]]] = (
    Target(
        name="codec",
        of="ledger.codec.decode",
        error=InvalidError,
        decode=lambda data: decode(data, _BODY_BYTES),
        agree=one_spelling(encode),
        seeds=seeds.codec,
        max_bytes=_BODY_BYTES + 8,
    ),
    Target(
        name="header",
        of="ledger.block.decode_header",
        error=InvalidError,
        decode=decode_header,
        agree=one_spelling(encode_header),
        seeds=seeds.header,
        max_bytes=MAX_HEADER_BYTES + 8,
    ),
    Target(
        name="run",
        of="ledger.run.verify_run",
        error=InvalidError,
        decode=read.runs_with(verify),
        agree=read.check_runs,
        seeds=seeds.run,
        max_bytes=_MANY_BYTES,
    ),
    Target(
        name="run-unsigned",
        of="ledger.run.verify_run",
        error=InvalidError,
        decode=read.runs_with(accept),
        agree=read.check_runs,
        seeds=seeds.run,
        max_bytes=_MANY_BYTES,
    ),
    Target(
        name="run-relinked",
        of="ledger.run.verify_run",
        error=InvalidError,
        decode=read.relinked_runs_with(accept),
        agree=read.check_runs,
        seeds=seeds.relinked_run,
        max_bytes=_MANY_BYTES,
    ),
    Target(
        name="proof",
        of="ledger.fork.decode_proof",
        error=InvalidError,
        decode=lambda data: decode_proof(data, verify),
        agree=read.check_proof,
        seeds=seeds.proof,
        max_bytes=_MANY_BYTES,
    ),
    Target(
        name="proof-unsigned",
        of="ledger.fork.decode_proof",
        error=InvalidError,
        decode=lambda data: decode_proof(data, accept),
        agree=read.check_proof,
        seeds=seeds.proof,
        max_bytes=_MANY_BYTES,
    ),
    Target(
        name="statement",
        of="ledger.statement.decode_revocation",
        error=InvalidError,
        decode=read.statement_with(verify),
        agree=read.check_statement,
        seeds=seeds.statement,
        max_bytes=_STATEMENT_BYTES,
        cbor_at=SIGNATURE_BYTES,
    ),
    Target(
        name="statement-unsigned",
        of="ledger.statement.decode_revocation",
        error=InvalidError,
        decode=read.statement_with(accept),
        agree=read.check_statement,
        seeds=seeds.statement,
        max_bytes=_STATEMENT_BYTES,
        cbor_at=SIGNATURE_BYTES,
    ),
    Target(
        name="link",
        of="ledger.link.Link.parse",
        error=InvalidError,
        decode=lambda data: Link.parse(read.text_of(data)),
        agree=lambda data, link: read.check_link(read.text_of(data), link),
        seeds=seeds.link,
        max_bytes=MAX_LINK_CHARACTERS + 8,
        cbor_at=None,
    ),
    Target(
        name="link-checksummed",
        of="ledger.link.Link.parse",
        error=InvalidError,
        decode=lambda data: Link.parse(read.link_text(data)),
        agree=lambda data, link: read.check_link(read.link_text(data), link),
        seeds=seeds.link_bytes,
        max_bytes=200,
        cbor_at=None,
    ),
    Target(
        name="words",
        of="ledger.keys.PersonKey.from_words",
        error=InvalidError,
        decode=lambda data: PersonKey.from_words(read.text_of(data)),
        agree=lambda data, key: read.check_words(read.text_of(data), key),
        seeds=seeds.words,
        max_bytes=400,
        cbor_at=None,
    ),
    Target(
        name="words-listed",
        of="ledger.keys.PersonKey.from_words",
        error=InvalidError,
        decode=lambda data: PersonKey.from_words(read.words_text(data, WORD_LIST)),
        agree=lambda data, key: read.check_words(read.words_text(data, WORD_LIST), key),
        seeds=seeds.word_numbers,
        max_bytes=2 * WORDS,
        cbor_at=None,
    ),
    Target(
        name="body",
        of="ledger.kinds.body.read_open",
        error=MeaninglessError,
        decode=read_open,
        agree=read.check_body_fields,
        seeds=seeds.body,
        max_bytes=_BODY_BYTES,
        cbor_at=SALT_BYTES,
    ),
    _kind("device", "device.Device", Device.decode, seeds.device, read.check_device),
    _kind("profile", "profile.Profile", Profile.decode, seeds.profile),
    _kind("post", "post.Post", Post.decode, seeds.post),
    _kind("agreement", "half.AgreementBody", AgreementBody.decode, seeds.agreement),
    _kind("withdrawal", "half.WithdrawalBody", WithdrawalBody.decode, seeds.withdrawal),
    Target(
        name="half-block",
        of="ledger.kinds.half.read_half",
        error=InvalidError,
        decode=read.read_half_block,
        agree=read.check_half_block,
        seeds=seeds.half_block,
        max_bytes=_BODY_BYTES,
    ),
    Target(
        name="entry",
        of="gossip.frontier.decode_entry",
        error=InvalidError,
        decode=decode_entry,
        agree=one_spelling(FrontierEntry.encode),
        seeds=seeds.entry,
        max_bytes=MAX_ENTRY_BYTES + 8,
    ),
    Target(
        name="envelope",
        of="gossip.envelope.decode_envelope",
        error=InvalidError,
        decode=decode_envelope,
        agree=read.check_envelope,
        seeds=seeds.envelope,
        max_bytes=MAX_ENVELOPE_BYTES + 8,
    ),
    Target(
        name="mail",
        of="gossip.postal.read_postal",
        error=InvalidError,
        decode=read.read_mail,
        agree=one_spelling(encode_postal),
        seeds=seeds.postal,
        max_bytes=_MANY_BYTES,
    ),
    Target(
        name="sealed-start",
        of="gossip.sealing.read_start",
        error=InvalidError,
        decode=read.read_sealed_start,
        agree=read.check_sealed_start,
        seeds=seeds.sealed_start,
        max_bytes=_MANY_BYTES,
    ),
    Target(
        name="sealed-header",
        of="gossip.bundle_header.read_header",
        error=InvalidError,
        decode=lambda data: read_header(data, read.BOUND),
        agree=lambda data, header: read.check_sealed_header(data[:-SIGNATURE_BYTES], header),
        seeds=lambda: [read.signed_header(raw) for raw in seeds.sealed_header()],
        max_bytes=_MANY_BYTES,
        cbor_at=None,
    ),
    Target(
        name="sealed-header-signed",
        of="gossip.bundle_header.read_header",
        error=InvalidError,
        decode=lambda data: read_header(read.signed_header(data), read.BOUND),
        agree=read.check_sealed_header,
        seeds=seeds.sealed_header,
        max_bytes=_MANY_BYTES,
    ),
    Target(
        name="sealed-row",
        of="gossip.bundle_header.read_row",
        error=InvalidError,
        decode=read_row,
        agree=read.check_sealed_row,
        seeds=seeds.sealed_row,
        max_bytes=MAX_ROW_BYTES + 8,
    ),
    Target(
        name="sealed-end",
        of="gossip.bundle_header.read_end",
        error=InvalidError,
        decode=lambda data: read_end(read.signed_end(data), read.WRITER.public, read.BOUND),
        agree=read.check_sealed_end,
        seeds=seeds.sealed_end,
        max_bytes=_BODY_BYTES,
    ),
    Target(
        name="trace",
        of="gossip.sim.trace.read_trace",
        error=InvalidError,
        decode=lambda data: read_trace(read.text_of(data).splitlines()),
        agree=read.check_trace,
        seeds=seeds.trace,
        max_bytes=_BODY_BYTES,
        cbor_at=None,
    ),
    Target(
        name="bundle",
        of="gossip.bundle.BundleReader.feed",
        error=NotABundleError,
        decode=read.read_bundle,
        agree=read.check_bundle,
        seeds=seeds.bundle,
        max_bytes=_MANY_BYTES,
        cbor_at=None,
    ),
    Target(
        name="bundle-framed",
        of="gossip.bundle.BundleReader.feed",
        error=NotABundleError,
        decode=lambda data: read.read_bundle(read.framed(data)),
        agree=lambda data, unpacked: read.check_bundle(read.framed(data), unpacked),
        seeds=seeds.bundle_payloads,
        max_bytes=_BODY_BYTES,
    ),
    *MEETING_TARGETS,
    *SESSION_TARGETS,
    *CONTROL_TARGETS,
)
