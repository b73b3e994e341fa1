"""Digests: what a scope adds up to, whatever became of it on the way."""

from collections import Counter
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from gossip.control import BUCKETS
from gossip.digest import Digest
from gossip.standing import place_of
from ledger.codec import context
from ledger.store.base import LogKey
from tests.strategies import material

KEYS: list[LogKey] = [
    (material(f"author {number}"), log) for number in range(40) for log in (0, 1, 1 << 31)
]


def bucket_hash(standings: dict[LogKey, bytes], bucket: int) -> bytes | None:
    """What docs/protocol.md says of a bucket, in one go."""
    held = sorted(key for key in standings if place_of(key)[0] == bucket)
    rows = [author + log.to_bytes(4, "big") + standings[author, log] for author, log in held]
    return sha256(context("bucket") + b"".join(rows)).digest() if rows else None


def root_hash(standings: dict[LogKey, bytes]) -> bytes:
    hashes = [bucket_hash(standings, bucket) or bytes(32) for bucket in range(BUCKETS)]
    return sha256(context("scope") + b"".join(hashes)).digest()


CHANGES = st.lists(
    st.tuples(st.sampled_from(KEYS), st.none() | st.integers(0, 3), st.booleans()), max_size=30
)


@given(changes=CHANGES)
def test_a_digest_says_what_its_logs_add_up_to_however_they_came(
    changes: list[tuple[LogKey, int | None, bool]],
) -> None:
    standings: dict[LogKey, bytes] = {}
    digest = Digest(lambda key: standings[key])
    for key, stands, looked_at in changes:
        # given logs that come, change and go, and a digest that is looked at now and then
        if stands is None:
            standings.pop(key, None)
            digest.remove(key)
        else:
            standings[key] = material(f"standing {stands}")
            digest.put(key)
        if looked_at:
            assert digest.root() == root_hash(standings)
    # then in the end it is as if nothing had ever been different
    assert digest.root() == root_hash(standings)
    assert (digest.count, sorted(digest)) == (len(standings), sorted(standings))
    assert [digest.bucket(at) for at in range(BUCKETS)] == [
        bucket_hash(standings, at) for at in range(BUCKETS)
    ]
    assert all(digest.keys(at) == sorted(digest.keys(at)) for at in range(BUCKETS))


@given(keys=st.permutations(KEYS[:12]))
def test_the_order_in_which_logs_came_does_not_matter(keys: list[LogKey]) -> None:
    def stands(key: LogKey) -> bytes:
        return material(key[0].hex())

    assert Digest(stands, keys).root() == Digest(stands, KEYS[:12]).root()


def test_two_logs_that_stand_the_same_can_be_told_apart() -> None:
    one, other = KEYS[:2]
    assert Digest(lambda _: bytes(32), [one]).root() != Digest(lambda _: bytes(32), [other]).root()


def test_no_log_is_counted_twice_or_taken_out_twice() -> None:
    digest = Digest(lambda _: bytes(32), [KEYS[0], KEYS[0], KEYS[1]])
    assert digest.count == 2
    digest.remove(KEYS[0])
    digest.remove(KEYS[0])
    assert (digest.count, list(digest)) == (1, [KEYS[1]])


# --- economy ------------------------------------------------------------------------------------


def test_a_log_that_changes_costs_its_bucket_and_no_other() -> None:
    # given a digest of many logs that was looked at
    asked: Counter[LogKey] = Counter()

    def stands(key: LogKey) -> bytes:
        asked[key] += 1
        return bytes(32)

    digest = Digest(stands, KEYS)
    digest.root()
    assert asked == Counter(KEYS)
    # when it is looked at again
    asked.clear()
    digest.root()
    # then nothing is asked; and of one that changed, only its neighbours
    assert not asked
    digest.put(KEYS[7])
    digest.root()
    assert asked == Counter(digest.keys(place_of(KEYS[7])[0]))
    assert len(asked) < 10
