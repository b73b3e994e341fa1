"""The digest of a scope: one hash over how all its logs stand, in 256 buckets.

Kept from meeting to meeting: a log that changes costs one bucket's hash, not all.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from gossip.control import BUCKETS
from gossip.standing import place_of
from ledger.codec import context

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from ledger.store.base import LogKey

_BUCKET: Final = context("bucket")
_SCOPE: Final = context("scope")
_EMPTY: Final = bytes(32)


class Digest:
    """Logs of a scope and how they stand.

    Args:
        standing: Gives 32 bytes that say how a log stands.
        keys: The logs.
    """

    def __init__(self, standing: Callable[[LogKey], bytes], keys: Iterable[LogKey] = ()) -> None:
        self._standing = standing
        self._buckets: dict[int, set[LogKey]] = {}
        self._hashes = [_EMPTY] * BUCKETS
        self._changed: set[int] = set()
        self._root: bytes | None = None
        self.count = 0
        for key in keys:
            self.put(key)

    def put(self, key: LogKey) -> None:
        """Take in a log, or notice that it stands differently."""
        bucket = place_of(key)[0]
        held = self._buckets.setdefault(bucket, set())
        self.count += key not in held
        held.add(key)
        self._stale(bucket)

    def remove(self, key: LogKey) -> None:
        """Take out a log, if it is there."""
        bucket = place_of(key)[0]
        if key in self._buckets.get(bucket, ()):
            self._buckets[bucket].remove(key)
            self.count -= 1
            self._stale(bucket)

    def _stale(self, bucket: int) -> None:
        self._changed.add(bucket)
        self._root = None

    def __iter__(self) -> Iterator[LogKey]:
        for _, bucket in sorted(self._buckets.items()):
            yield from bucket

    def held(self, bucket: int) -> Collection[LogKey]:
        """Return the logs of a bucket, in no order."""
        return self._buckets.get(bucket, ())

    def keys(self, bucket: int) -> list[LogKey]:
        """Return the logs of a bucket, ascending."""
        return sorted(self.held(bucket))

    def bucket(self, bucket: int) -> bytes | None:
        """Return a bucket's hash, None if it is empty."""
        if bucket in self._changed:
            self._hash(bucket)
        found = self._hashes[bucket]
        return None if found is _EMPTY else found

    def _hash(self, bucket: int) -> None:
        """Hash a bucket anew."""
        keys = self.keys(bucket)
        digest = sha256(_BUCKET)
        for author, log in keys:
            digest.update(author + log.to_bytes(4, "big") + self._standing((author, log)))
        self._hashes[bucket] = digest.digest() if keys else _EMPTY
        self._changed.discard(bucket)

    def root(self) -> bytes:
        """Return the hash over all buckets, 32 bytes."""
        if self._root is None:
            for bucket in list(self._changed):
                self._hash(bucket)
            self._root = sha256(_SCOPE + b"".join(self._hashes)).digest()
        return self._root
