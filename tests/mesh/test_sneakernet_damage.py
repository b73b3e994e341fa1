"""Bad media and bad people: what is whole and true is taken, the rest is said and left."""

from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.bundle import NotABundleError
from gossip.packing import Packer
from gossip.wire import Bodies, Data, Proofs, Statements, decode_message, encode_message
from ledger.block import Block
from ledger.fork import ForkProof, Vouched
from ledger.keys import SIGNATURE_BYTES, verify
from ledger.store.base import LateBody
from ledger.store.memory import MemoryStore
from mesh.home import HomeError
from mesh.serve import plan, serve
from mesh.sneakernet import BundleError, export_bundle, import_bundle, inspect_bundle
from tests.gossip.held import WHEN, bundle, frames, raw_run, revocation, varied
from tests.ledger.stores import Derived, derived, everything, live, log_of
from tests.strategies import SOCIAL, Device, device_keys, forked, make_block, make_body, written

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.rows import Imported


async def imported(raw: bytes, store: MemoryStore | None = None) -> tuple[Imported, MemoryStore]:
    """Import a bundle; whatever it is, the store is sound afterwards."""
    kept = MemoryStore() if store is None else store
    said = await import_bundle(kept, BytesIO(raw), seen=WHEN)
    assert await kept.check() == []
    return said, kept


def data(*runs: object) -> bytes:
    return encode_message(Data([raw_run(blocks) for blocks in runs]))  # type: ignore[arg-type]


def one_bundle() -> bytes:
    """Return a bundle of a frame a message, so that there are many places to cut it."""

    async def scenario() -> bytes:
        file = BytesIO()
        await export_bundle(await varied(), file)
        return file.getvalue()

    whole = [frame[12:] for frame in frames(live(scenario()))[1:-1]]
    split: list[bytes] = []
    for message in whole:
        match decode_message(message):
            case Data(runs):
                split += [encode_message(Data([run])) for run in runs]
            case _:
                split.append(message)
    return bundle(split)


WHOLE = one_bundle()
ENDS = [8]
for _frame in frames(WHOLE):
    ENDS.append(ENDS[-1] + len(_frame))


def prefix(count: int) -> Derived:
    """Return what a store holds after the first ``count`` messages."""
    messages = [frame[12:] for frame in frames(WHOLE)[1 : 1 + count]]

    async def scenario() -> Derived:
        return await derived((await imported(bundle(messages)))[1])

    return live(scenario())


# --- bad media ----------------------------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=30)
def test_of_a_bundle_that_is_cut_all_whole_messages_are_stored(data: st.DataObject) -> None:
    cut = data.draw(st.integers(ENDS[1], len(WHOLE) - 1), label="cut")
    said, store = live(imported(WHOLE[:cut]))
    assert (said.complete, said.damage) == (False, "the bundle is cut short")
    whole = sum(end <= cut for end in ENDS[2:-1])
    assert live(derived(store)) == prefix(whole)


@given(data=st.data(), bit=st.integers(0, 7))
@settings(max_examples=30)
def test_of_a_bundle_with_a_bad_byte_all_messages_before_it_are_stored(
    data: st.DataObject, bit: int
) -> None:
    at = data.draw(st.integers(ENDS[1], len(WHOLE) - 1), label="at")
    spoiled = bytearray(WHOLE)
    spoiled[at] ^= 1 << bit
    said, store = live(imported(bytes(spoiled)))
    assert not said.complete
    assert said.damage is not None
    assert said.damage.isprintable()
    whole = sum(end <= at for end in ENDS[2:-1])
    assert live(derived(store)) == prefix(whole)
    looked = inspect_bundle(BytesIO(bytes(spoiled)))
    assert (looked.complete, looked.damage) == (False, said.damage)


def test_a_second_import_of_the_whole_bundle_completes_the_first_that_was_cut() -> None:
    async def scenario() -> tuple[Imported, MemoryStore]:
        _, store = await imported(WHOLE[: len(WHOLE) // 2])
        return await imported(WHOLE, store)

    said, store = live(scenario())
    assert said.complete
    assert said.new_blocks > 0
    assert live(derived(store)) == prefix(len(ENDS))


@pytest.mark.parametrize("raw", [b"", WHOLE[:8], WHOLE[: ENDS[1] - 1], b"Dear all,\n", bytes(99)])
async def test_what_is_no_bundle_changes_nothing(raw: bytes) -> None:
    store = MemoryStore()
    await varied(store)
    before = await everything(store)
    with pytest.raises(NotABundleError):
        await imported(raw, store)
    assert await everything(store) == before


# --- bad people ---------------------------------------------------------------------------------


async def test_runs_that_do_not_hold_are_counted_and_those_around_them_stored() -> None:
    first, second, third = written(3)
    forged = [first, second._replace(body=first.body), third]
    unsigned = third._replace(signature=b"")
    said, store = await imported(
        bundle(
            [
                data([Device().root]),
                data(forged),
                data([first, second, unsigned]),
                data([first]),
                b"\xff",
                data([first, second, third]),
            ]
        )
    )
    assert (said.new_blocks, said.known_blocks, said.refused) == (4, 1, 7)
    assert said.complete
    assert (await log_of(store, (Device().public, SOCIAL))).head == 3


async def test_a_signature_that_nobody_verified_is_neither_stored_nor_served() -> None:
    # given a run that vouches for its blocks, with a false signature inside
    blocks = [*written(3)]
    blocks[0] = blocks[0]._replace(signature=b"f" * SIGNATURE_BYTES)
    said, store = await imported(bundle([data([Device().root]), data(blocks)]))
    assert (said.new_blocks, said.refused) == (4, 0)
    # then that signature is nowhere
    held = await store.read((Device().public, SOCIAL), 1, 9)
    assert [len(block.signature) for block in held] == [0, 0, SIGNATURE_BYTES]
    messages = [raw async for raw in serve(store, await plan(store, None), Packer())]
    assert not any(b"f" * SIGNATURE_BYTES in raw for raw in messages)


async def test_a_bundle_that_holds_both_branches_convicts_their_author() -> None:
    left, right = forked(4, 1, 1)
    said, store = await imported(bundle([data([Device().root]), data(left), data(right)]))
    assert (said.new_blocks, said.refused) == (1 + 4 + 1, 0)
    assert (await log_of(store, (Device().public, SOCIAL))).fork == 4
    (proof,) = await store.proofs()
    assert set(proof.ids) == {left[3].id, right[3].id}


async def test_a_proof_alone_convicts_and_a_false_one_does_not() -> None:
    left, right = forked(4, 1, 1)
    proof = ForkProof.of(Vouched.of(left[3:]), Vouched.of(right[3:])).encode()
    false = proof.replace(left[3].signature, bytes(SIGNATURE_BYTES))
    said, store = await imported(bundle([encode_message(Proofs([false]))]))
    assert (said.refused, await store.proofs()) == (1, [])
    said, store = await imported(bundle([encode_message(Proofs([proof]))]))
    assert said.refused == 0
    assert (await log_of(store, (Device().public, SOCIAL))).fork == 4


async def test_a_statement_that_its_person_did_not_sign_revokes_nobody() -> None:
    good = revocation()
    forged = device_keys(9).signing.sign(b"passalong/person/1" + good.raw)
    said, store = await imported(bundle([encode_message(Statements([(good.raw, forged)]))]))
    assert (said.refused, await store.revocations()) == (1, [])


async def test_a_body_that_is_not_what_its_header_names_is_counted_and_not_stored() -> None:
    bare = [block._replace(body=None) for block in written(3)]
    author, right = Device().public, written(3)[0].body or b""
    late = [
        LateBody(author, SOCIAL, 1, right),
        LateBody(author, SOCIAL, 2, b"another"),
        LateBody(author, SOCIAL, 9, b"of no block"),
        LateBody(bytes(32), 7, 1, b"of nobody"),
    ]
    said, store = await imported(
        bundle([data([Device().root]), data(bare), encode_message(Bodies(late))])
    )
    assert said.refused == 1
    held = await store.read((author, SOCIAL), 1, 9)
    assert [block.body for block in held] == [right, None, None]


async def test_blocks_signed_by_another_than_their_author_are_refused() -> None:
    liar, victim = device_keys(8).signing, Device(9)
    mine = make_block(liar, SOCIAL, 1, victim.root.id, body=make_body("I am 9"))
    raw = mine.raw.replace(liar.public, victim.public)
    false = Block(mine.header, raw, mine.id, mine.signature, mine.body)
    said, store = await imported(bundle([data([victim.root]), data([false])]))
    assert (said.new_blocks, said.refused) == (1, 1)
    assert not verify(victim.public, b"passalong/block/1" + raw, mine.signature)
    assert len(await store.logs()) == 1


async def test_more_segments_than_are_kept_are_refused_and_the_rest_taken() -> None:
    blocks = written(40)
    runs = [data(blocks[low : low + 2]) for low in range(2, 40, 5)]
    said, store = await imported(bundle([data([Device().root]), *runs]))
    assert (said.new_blocks, said.complete) == (1 + 4 * 2, True)
    assert said.refused == len(runs) - 4
    assert len((await log_of(store, (Device().public, SOCIAL))).detached) == 4


# --- what is no file ----------------------------------------------------------------------------


async def test_a_folder_a_pipe_or_a_device_is_no_bundle(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("", "pipe", "zeros"):
        with pytest.raises(BundleError, match="is not a file; name a bundle, or - to read from"):
            await import_bundle(MemoryStore(), tmp_path / name, seen=WHEN)
        with pytest.raises(BundleError, match="is not a file"):
            inspect_bundle(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "why"),
    [("gone", "is not there"), ("file/below", "is in the way"), ("n" * 300, "name too long")],
)
async def test_a_path_that_leads_nowhere_is_said(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").write_bytes(WHOLE)
    with pytest.raises(HomeError, match=why):
        await import_bundle(MemoryStore(), tmp_path / name, seen=WHEN)
