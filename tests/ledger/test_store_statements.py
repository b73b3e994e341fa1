from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.statement import MAX_PER_PERSON, Cut, Revocation, select
from ledger.store.base import Arrival, Batch, Store, What
from tests.ledger.stores import agreed, both, everything, live, offer, open_sqlite
from tests.strategies import device_keys, person_key

PERSON = person_key()


def revoke(number: int, *seqs: int, owner: int = 0) -> Revocation:
    cuts = [Cut(log, seq, bytes([seq]) * 32) for log, seq in enumerate(seqs)]
    return Revocation.sign(person_key(owner), device_keys(number).public, cuts)


MANY = [revoke(number) for number in range(MAX_PER_PERSON + 6)]
SEVERAL = [revoke(1), revoke(1, 4), revoke(1, 4, 2), revoke(2, 9), revoke(2, 9, owner=1)]


async def test_a_statement_is_kept_and_is_news(store: Store) -> None:
    statement = revoke(1, 5)
    outcome = await store.absorb(Batch(revocations=[statement]), seen=8, durable=True)
    assert outcome.revoked == [statement.device]
    assert await store.revocations() == [statement]
    assert await store.arrivals() == [Arrival(1, What.STATEMENT, statement.device, 0, 0, 0, 0, 8)]
    again = await store.absorb(Batch(revocations=[statement]), seen=9, durable=True)
    assert (again.revoked, len(await store.arrivals())) == ([], 1)
    assert await store.logs() == []
    assert await store.check() == []


async def test_statements_about_some_devices_can_be_had(store: Store) -> None:
    await store.absorb(Batch(revocations=SEVERAL), seen=8, durable=True)
    first, second, nobody = (device_keys(number).public for number in (1, 2, 3))
    about = [await store.revocations([device]) for device in (first, second, nobody)]
    assert [len(statements) for statements in about] == [1, 2, 0]
    assert {one.device for one in about[1]} == {second}
    many = [device_keys(1).public, *(number.to_bytes(32, "big") for number in range(600))]
    assert await store.revocations(many) == about[0]
    assert await store.revocations([]) == []


async def test_a_statement_that_is_displaced_is_told_too(store: Store) -> None:
    # given the 64 statements of a person, those of the largest keys
    held = sorted(MANY, key=lambda statement: statement.device)[-MAX_PER_PERSON:]
    await store.absorb(Batch(revocations=held), seen=8, durable=True)
    # when one about a smaller key comes
    smallest = min(MANY, key=lambda statement: statement.device)
    outcome = await store.absorb(Batch(revocations=[smallest]), seen=9, durable=True)
    # then the one it displaces is told with it
    assert sorted(outcome.revoked) == sorted([smallest.device, held[-1].device])


@given(st.permutations(SEVERAL), st.integers(1, 5))
def test_the_statement_that_leaves_less_stays_in_any_order(
    order: Sequence[Revocation], size: int
) -> None:
    async def scenario() -> None:
        async with both() as stores:
            for at in range(0, len(order), size):
                await offer(stores, Batch(revocations=order[at : at + size]))
            state = await agreed(stores)
            assert sorted(state.revocations, key=lambda r: (r.person, r.device)) == (
                state.revocations
            )
            kept = {(r.person, r.device): r.cuts for r in state.revocations}
            assert kept == {
                (SEVERAL[0].person, SEVERAL[0].device): (),
                (SEVERAL[3].person, SEVERAL[3].device): SEVERAL[3].cuts,
                (SEVERAL[4].person, SEVERAL[4].device): SEVERAL[4].cuts,
            }

    live(scenario())


@settings(max_examples=10)
@given(st.permutations(range(len(MANY))), st.sampled_from([1, 9, len(MANY)]))
def test_of_more_than_64_those_of_the_smallest_devices_stay_in_any_order(
    order: Sequence[int], size: int
) -> None:
    async def scenario() -> None:
        given_order = [MANY[index] for index in order]
        async with both() as stores:
            for at in range(0, len(order), size):
                await offer(stores, Batch(revocations=given_order[at : at + size]))
            kept = (await agreed(stores)).revocations
            assert kept == sorted(MANY, key=lambda r: r.device)[:MAX_PER_PERSON] == select(MANY)
            # and those that have no room are not news when they come again
            before = await everything(stores[1])
            await offer(stores, Batch(revocations=given_order))
            assert await everything(stores[1]) == before

    live(scenario())


@pytest.mark.parametrize("size", [1, 3])
async def test_statements_are_there_after_a_restart(tmp_path: Path, size: int) -> None:
    store = await open_sqlite(tmp_path / "store.db")
    await store.absorb(Batch(revocations=SEVERAL[:size]), seen=0, durable=True)
    await store.close()
    store = await open_sqlite(tmp_path / "store.db")
    assert await store.revocations() == SEVERAL[:1]
    await store.close()
