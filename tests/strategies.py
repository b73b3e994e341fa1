"""Builders and hypothesis strategies that many tests share: persons, devices that write, runs.

Nothing here is random by itself. A person or device is a small number, so a failing example reads
``Device(3)``; a fork is a device and its twin that write different things.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256

from hypothesis import strategies as st

from ledger.block import (
    DEVICE_KIND,
    MAX_BODY_BYTES,
    MAX_EXT_BYTES,
    MAX_LOG,
    MAX_SEQ,
    SALT_BYTES,
    ZEROS,
    Block,
    Counterparty,
    Header,
    body_hash,
    sign_block,
)
from ledger.codec import Value, encode
from ledger.keys import DeviceKeys, PersonKey, SigningKey, verify
from ledger.run import RawBlock, Run, verify_run

IDENTITY = 0
SOCIAL = 1
GROUP = 1 << 31
KIND_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789./-"


def material(what: str, size: int = 32) -> bytes:
    """Return ``size`` bytes that stand for randomness, always the same for the same ``what``."""
    return b"".join(sha256(f"{what}/{index}".encode()).digest() for index in range(-(-size // 32)))[
        :size
    ]


@cache
def person_key(number: int = 0) -> PersonKey:
    """Return the root key of person ``number``."""
    return PersonKey(material(f"person {number}"))


@cache
def device_keys(number: int = 0) -> DeviceKeys:
    """Return the keys of device ``number``."""
    return DeviceKeys.from_random(material(f"device {number}", 64))


def make_body(*fields: object, time: int = 0, salt: bytes = bytes(SALT_BYTES)) -> bytes:
    """Return an open body: 16 bytes of salt, then ``[0, time in ms, fields ...]``."""
    return salt + encode([0, time, *fields])


def device_body(keys: DeviceKeys, person: PersonKey, *, time: int = 0) -> bytes:
    """Return the body of (log 0, seq 1), in which ``person`` certifies the device."""
    certificate = person.certify(keys.public)
    return make_body(keys.sealing_public, person.signing.public, certificate, time=time)


def make_block(
    key: SigningKey,
    log: int,
    seq: int,
    previous: bytes,
    *,
    body: bytes = make_body(),
    kind: str = "post",
    counterparty: Counterparty | None = None,
    ext: bytes = b"",
) -> Block:
    """Sign a block that stands anywhere one likes, wrong places included."""
    header = Header(
        key.public, log, seq, previous, counterparty, kind, body_hash(body), len(body), ext
    )
    return sign_block(key, header, body)


@dataclass
class Device:
    """A device that writes; every block is correct, signed and linked.

    Attributes:
        number: Decides the device's keys.
        owner: Number of the person who certified it.
        logs: What it wrote, by log; log 0 begins with its device block.
    """

    number: int = 0
    owner: int = 0
    logs: dict[int, list[Block]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.logs:
            self.logs[IDENTITY] = [_device_block(self.number, self.owner)]

    @property
    def keys(self) -> DeviceKeys:
        """What the device keeps secret."""
        return device_keys(self.number)

    @property
    def person(self) -> PersonKey:
        """Its person's root key."""
        return person_key(self.owner)

    @property
    def public(self) -> bytes:
        """The device's key, which names it."""
        return self.keys.public

    @property
    def root(self) -> Block:
        """Its device block, (log 0, seq 1)."""
        return self.logs[IDENTITY][0]

    def write(
        self,
        text: str = "",
        *,
        log: int = SOCIAL,
        kind: str = "post",
        counterparty: Counterparty | None = None,
        body: bytes | None = None,
        ext: bytes = b"",
    ) -> Block:
        """Write the next block of ``log``; its body is ``body``, or says ``text``."""
        written = self.logs.setdefault(log, [])
        previous = written[-1].id if written else self.root.id
        said = make_body(text, time=len(written)) if body is None else body
        seq = len(written) + 1
        block = make_block(
            self.keys.signing,
            log,
            seq,
            previous,
            body=said,
            kind=kind,
            counterparty=counterparty,
            ext=ext,
        )
        written.append(block)
        return block

    def write_many(self, count: int, text: str = "", *, log: int = SOCIAL) -> list[Block]:
        """Write ``count`` blocks and return all of that log."""
        for _ in range(count):
            self.write(text, log=log)
        return self.logs.setdefault(log, [])

    def twin(self) -> "Device":
        """Return the same device as restored from a copy: both writing on is a fork."""
        return Device(
            self.number, self.owner, {log: list(blocks) for log, blocks in self.logs.items()}
        )


@cache
def _device_block(number: int, owner: int) -> Block:
    keys = device_keys(number)
    body = device_body(keys, person_key(owner))
    return make_block(keys.signing, IDENTITY, 1, ZEROS, body=body, kind=DEVICE_KIND)


@cache
def written(count: int, log: int = SOCIAL, number: int = 0, text: str = "") -> tuple[Block, ...]:
    """Return a log of ``count`` blocks by device ``number``."""
    device = Device(number)
    missing = count - len(device.logs.get(log, ()))
    return tuple(device.write_many(missing, text, log=log))


@cache
def forked(
    fork: int, left: int, right: int, log: int = SOCIAL, number: int = 0
) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
    """Return two logs of one device, the same before ``fork`` and different from there on.

    They go on for ``left`` and ``right`` blocks, each at least 1.
    """
    device = Device(number)
    device.write_many(fork - 1 - len(device.logs.get(log, ())), "trunk", log=log)
    twin = device.twin()
    return (
        tuple(device.write_many(left, "left", log=log)),
        tuple(twin.write_many(right, "right", log=log)),
    )


def items(blocks: Iterable[Block]) -> list[RawBlock]:
    """Return the blocks as they travel, each with whatever signature it has."""
    return [(block.raw, block.signature, block.body) for block in blocks]


def run_of(blocks: Sequence[Block], hops: int = 0) -> Run:
    """Return the run of ``blocks`` as a receiver verifies it."""
    return verify_run(items(blocks), verify, hops)


# --- strategies ---------------------------------------------------------------------------------

hashes = st.binary(min_size=32, max_size=32)
some_hashes = hashes.filter(any)
seqs = st.one_of(
    st.sampled_from([1, 2, 23, 24, 63, 64, 255, 256, 65_535, 65_536, 1 << 32, MAX_SEQ]),
    st.integers(1, MAX_SEQ),
)
log_numbers = st.one_of(
    st.sampled_from([IDENTITY, SOCIAL, 23, 24, GROUP, MAX_LOG]), st.integers(0, MAX_LOG)
)
kinds = st.text(KIND_LETTERS, min_size=1, max_size=32)
bodies = st.binary(max_size=MAX_BODY_BYTES // 64)
exts = st.binary(max_size=MAX_EXT_BYTES)
counterparties = st.one_of(
    st.builds(Counterparty, hashes, st.just(ZEROS)),
    st.builds(Counterparty, some_hashes, some_hashes),
)
signing_keys = st.integers(0, 7).map(lambda number: device_keys(number).signing)


@st.composite
def headers(draw: st.DrawFn, author: bytes | None = None) -> Header:
    """Any header that does not contradict itself; its body need not exist."""
    log, seq = draw(log_numbers), draw(seqs)
    is_first = log == IDENTITY and seq == 1
    return Header(
        draw(hashes) if author is None else author,
        log,
        seq,
        ZEROS if is_first else draw(some_hashes),
        None if is_first else draw(st.none() | counterparties),
        DEVICE_KIND if is_first else draw(kinds),
        draw(hashes),
        draw(st.integers(0, MAX_BODY_BYTES)),
        draw(exts),
    )


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    """Any signed block with its body."""
    key = draw(signing_keys)
    header = draw(headers(key.public))
    body = draw(bodies)
    header = header._replace(body_hash=body_hash(body), body_size=len(body))
    return sign_block(key, header, body)


@st.composite
def spans(draw: st.DrawFn, length: int, extra: int = 4) -> list[tuple[int, int]]:
    """Ways in which a log of ``length`` arrives: (low, high) of each run, in order of arrival.

    Every seq is in one of them; up to ``extra`` overlap others or come twice.
    """
    cuts = draw(st.sets(st.integers(1, length - 1))) if length > 1 else set()
    ends = sorted(cuts | {length})
    whole = list(zip([1, *(end + 1 for end in ends[:-1])], ends, strict=True))
    span = st.tuples(st.integers(1, length), st.integers(1, length)).map(
        lambda pair: (min(pair), max(pair))
    )
    more = draw(st.lists(st.one_of(span, st.sampled_from(whole)), max_size=extra))
    return draw(st.permutations(whole + more))


values: st.SearchStrategy[Value] = st.recursive(
    st.one_of(
        st.none(),
        st.integers(-(1 << 64), (1 << 64) - 1),
        st.sampled_from([0, 23, 24, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, -24, -25]),
        st.binary(max_size=70),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=70),
    ),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=20,
)
