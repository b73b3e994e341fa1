"""Mail in a store: rows that are put, changed and dropped, and the envelopes they stand for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.store.base import Absorbed, Batch, MailRow, MailWhat, Store
from ledger.store.memory import MemoryStore
from tests.ledger.stores import both, live, offer, open_sqlite, runs
from tests.strategies import Device, material, run_of

if TYPE_CHECKING:
    from pathlib import Path

IDENTS = [material(f"envelope {number}") for number in range(6)]
TAG, LOCK, WHO = material("tag", 16), material("lock"), material("depositor")


def row(
    number: int, what: MailWhat = MailWhat.CARRIED, content: bytes = b"sealed", **rest: int
) -> MailRow:
    counts = {"hops": 8, "copies": 4, "until": 600} | rest
    return MailRow(what, IDENTS[number], TAG, LOCK, **counts, depositor=WHO, content=content)


async def put(stores: list[Store], *rows: MailRow) -> Absorbed:
    return await offer(stores, Batch(mail=rows))


async def rows_of(stores: list[Store]) -> list[MailRow]:
    """Return the rows of mail, of which all stores must say the same."""
    first, *others = [await store.mail() for store in stores]
    assert all(other == first for other in others)
    return first


async def test_what_is_put_is_there_and_only_tokens_come_with_their_content() -> None:
    async with both() as stores:
        await put(stores, *(row(number, what) for number, what in enumerate(MailWhat)))
        assert await rows_of(stores) == [
            row(number, what, b"sealed" if what is MailWhat.TOKEN else b"")
            for number, what in enumerate(MailWhat)
        ]


async def test_rows_come_in_order_of_what_they_are_and_of_ident() -> None:
    async with both() as stores:
        await put(stores, *(row(n, what) for n in (3, 0, 5) for what in reversed(MailWhat)))
        keys = [(one.what, one.ident) for one in await rows_of(stores)]
        assert keys == sorted(keys)
        assert len(keys) == 12


async def test_envelopes_are_read_by_ident_whether_carried_or_kept_as_letters() -> None:
    async with both() as stores:
        await put(
            stores,
            row(0, content=b"carried"),
            row(1, MailWhat.LETTER, b"letter"),
            row(2, MailWhat.EVICTED, b"gone"),
            row(3, MailWhat.TOKEN, b"token"),
        )
        for store in stores:
            assert await store.envelopes(IDENTS) == [b"carried", b"letter", *[b""] * 4]
            assert await store.envelopes([IDENTS[1], IDENTS[0], IDENTS[1]]) == [
                b"letter", b"carried", b"letter",
            ]  # fmt: skip
            assert await store.envelopes([]) == []


async def test_sizes_are_told_of_what_is_carried_and_of_nothing_else() -> None:
    async with both() as stores:
        await put(
            stores,
            row(3, content=b"x" * 8_248),
            row(0, content=b"carried"),
            row(0, MailWhat.LETTER, b"the same, kept as a letter"),
            row(1, MailWhat.LETTER, b"letter"),
            row(2, MailWhat.EVICTED, b"gone"),
            row(4, MailWhat.TOKEN, b"token"),
        )
        for store in stores:
            sizes = await store.mail_sizes()
            assert sizes == {IDENTS[0]: 7, IDENTS[3]: 8_248}
            assert list(sizes) == sorted(sizes)
        await put(stores, row(0, content=b"", hops=1))
        await offer(stores, Batch(mail_drops=[(MailWhat.CARRIED, IDENTS[3])]))
        for store in stores:
            assert await store.mail_sizes() == {IDENTS[0]: 7}


async def test_a_letter_is_still_there_when_it_is_carried_no_more() -> None:
    async with both() as stores:
        await put(stores, row(0), row(0, MailWhat.LETTER))
        await offer(stores, Batch(mail_drops=[(MailWhat.CARRIED, IDENTS[0])]))
        for store in stores:
            assert await store.envelopes(IDENTS[:1]) == [b"sealed"]
        assert [one.what for one in await rows_of(stores)] == [MailWhat.LETTER]


async def test_a_row_that_is_put_again_keeps_its_content() -> None:
    async with both() as stores:
        await put(stores, row(0))
        await put(stores, row(0, content=b"", copies=2, hops=3, until=99))
        assert await rows_of(stores) == [row(0, content=b"", copies=2, hops=3, until=99)]
        for store in stores:
            assert await store.envelopes(IDENTS[:1]) == [b"sealed"]


async def test_what_goes_goes_before_what_comes() -> None:
    async with both() as stores:
        await put(stores, row(0, content=b"old"))
        drops = [(MailWhat.CARRIED, IDENTS[0]), (MailWhat.CARRIED, IDENTS[1])]
        await offer(stores, Batch(mail=[row(0, content=b"new")], mail_drops=drops))
        for store in stores:
            assert await store.envelopes(IDENTS[:2]) == [b"new", b""]


async def test_mail_is_no_news_of_logs() -> None:
    async with both() as stores:
        outcome = await put(stores, row(0))
        assert replace(outcome, mail=()) == Absorbed()
        assert list(outcome.mail) == [row(0)]
        for store in stores:
            assert await store.logs() == []
            assert await store.arrivals() == []
            assert await store.runs() == []


async def test_thousands_of_envelopes_are_read_at_once() -> None:
    idents = [material(f"one of many {number}") for number in range(1_300)]
    many = [MailRow(MailWhat.CARRIED, ident, content=ident) for ident in idents]
    async with both() as stores:
        await put(stores, *many)
        for store in stores:
            assert await store.envelopes(idents) == idents


async def test_mail_survives_a_restart(tmp_path: Path) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    rows = [row(number, what) for number, what in enumerate(MailWhat)]
    await store.absorb(Batch(mail=rows), seen=0, durable=True)
    await store.absorb(Batch(mail_drops=[(MailWhat.EVICTED, IDENTS[2])]), seen=0, durable=True)
    before = await store.mail()
    await store.close()
    again = await open_sqlite(tmp_path / "store.db")
    assert await again.mail() == before
    assert await again.envelopes(IDENTS[:2]) == [b"sealed", b"sealed"]
    assert await again.check() == []
    await again.close()


async def test_a_copy_of_a_store_in_memory_goes_its_own_way() -> None:
    store = MemoryStore()
    await store.absorb(Batch(mail=[row(0)]), seen=0, durable=False)
    twin = store.copy()
    await twin.absorb(Batch(mail_drops=[(MailWhat.CARRIED, IDENTS[0])]), seen=0, durable=False)
    assert await store.envelopes(IDENTS[:1]) == [b"sealed"]
    assert await twin.envelopes(IDENTS[:1]) == [b""]


async def test_mail_and_blocks_come_in_one_batch() -> None:
    async with both() as stores:
        await offer(stores, Batch(runs=[run_of([Device().root])], mail=[row(0)]))
        assert len(await rows_of(stores)) == 1
        assert runs(run_of([Device().root])).mail == ()
        for store in stores:
            assert await store.check() == []


numbers, whats = st.integers(0, 5), st.sampled_from(MailWhat)
puts = st.builds(
    row,
    numbers,
    whats,
    hops=st.integers(0, 10),
    copies=st.integers(0, 64),
    until=st.integers(0, 1 << 50),
)
drops = st.tuples(whats, numbers.map(lambda number: IDENTS[number]))
batches = st.lists(
    st.tuples(st.lists(drops, max_size=3), st.lists(puts, max_size=4)), min_size=1, max_size=4
)


@settings(max_examples=max(20, settings().max_examples // 2))
@given(some=batches)
def test_both_stores_hold_the_same_mail_whatever_came_and_went(
    some: list[tuple[list[tuple[MailWhat, bytes]], list[MailRow]]],
) -> None:
    async def scenario() -> None:
        model: dict[tuple[MailWhat, bytes], MailRow] = {}
        async with both() as stores:
            for drops, mail in some:
                for drop in drops:
                    model.pop(drop, None)
                new = {(one.what, one.ident): one for one in mail}
                rows = [
                    one._replace(content=b"" if key in model else one.ident)
                    for key, one in new.items()
                ]
                await offer(stores, Batch(mail=rows, mail_drops=drops))
                model |= {key: one._replace(content=one.ident) for key, one in new.items()}
            told = {(r.what, r.ident): r for r in await rows_of(stores)}
            assert told.keys() == model.keys()
            for key, one in model.items():
                is_shown = one.what is MailWhat.TOKEN
                assert told[key] == (one if is_shown else one._replace(content=b""))
            held = (MailWhat.CARRIED, MailWhat.LETTER)
            carried = [ident for what, ident in model if what is MailWhat.CARRIED]
            for store in stores:
                assert await store.mail_sizes() == {ident: len(ident) for ident in carried}
                assert await store.envelopes(IDENTS) == [
                    one if any((what, one) in model for what in held) else b"" for one in IDENTS
                ]

    live(scenario())
