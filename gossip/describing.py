"""One half of a meeting: telling the peer what is held here, page by page.

A contact who was here before is told what changed since (NEW), anybody else what differs in the
scopes that both name (VECTOR). What arrives during the meeting is announced to both. Only so many
pages wait for the peer's ACK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from gossip.control import (
    BUCKET_BYTES,
    BUCKETS,
    MAX_ANNOUNCES,
    MAX_PAGES,
    PARTS,
    Ack,
    Announce,
    Greeting,
    Mention,
    New,
    Vector,
)
from gossip.cursor import run_name, unseen, valid_up_to
from gossip.effects import Arrivals
from gossip.mentioning import Mentioning
from gossip.policy import PUBLIC
from gossip.scopes import Scopes
from gossip.standing import place_of
from gossip.talk import ProtocolError
from ledger.store.base import Arrival, What

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gossip.control import Buckets, Root
    from gossip.cursor import Seen
    from gossip.effects import Answer
    from gossip.scopes import Difference
    from gossip.standing import Standing
    from gossip.talk import Talk
    from ledger.store.base import LogKey

MANY_NEWS: Final = 8
"""Arrivals to tell a contact beyond which it is worth comparing first."""
_NO_LOG: Final = bytes(32)
_ARRIVALS: Final = 512
"""Read at once from the store."""


class _Page(NamedTuple):
    scope: bytes
    keys: list[tuple[LogKey, bool]]
    last: bool


class Describing:
    """What was told, and what is still to be.

    Args:
        talk: The session's surroundings.
        knows: Says whether the peer holds a log as it stands here, by what he told.

    Attributes:
        mentioned: The logs that were told.
        told: What the peer says it processed of this store and keeps.
    """

    def __init__(self, talk: Talk, knows: Callable[[LogKey, Standing], bool]) -> None:
        self._talk = talk
        self._knows = knows
        self.mentioned = Mentioning(talk)
        self.scopes = Scopes(talk)
        self.told: Seen | None = None
        self.by_root = False
        self._seen: tuple[tuple[int, int], ...] = ()
        self._unshared: dict[LogKey, bool] = {}
        self._valid = 0
        self._gaps: list[tuple[int, int]] = []
        self._news: list[Arrival] = []
        self._is_reading = False
        self._vectors: list[_Page] = []
        self._pages = 0
        self._acked = 0
        self._covered = 0
        self._run = b""
        self._parts = b""
        self._alike: frozenset[int] = frozenset()
        self._offers = talk.setting.policy.offers(talk.setting.peer, talk.setting.shared)
        self._fresh: dict[LogKey, bool] = {}
        self._uncovered_since: float | None = None
        self._unacked_since = 0.0

    def greet(self) -> Greeting | None:
        """Return what HELLO says of this store: what arrives from now on is announced."""
        setting, catalogue = self._talk.setting, self._talk.setting.catalogue
        self._covered, self._run = catalogue.lsn, catalogue.run
        if setting.peer is None:
            return None
        return Greeting(run_name(catalogue.run, self._offers), catalogue.lsn, setting.seen)

    def parts(self) -> bytes:
        """Return how the parts of the public scope stand, if there is much to tell a contact."""
        setting, told = self._talk.setting, self._talk.setting.told
        if setting.peer is None or told is None:
            return b""
        known = told.clipped(min(self._valid_up_to(told), self._covered))
        news = sum(high - low + 1 for low, high in unseen(known, self._covered))
        if news <= MANY_NEWS:
            return b""
        digest, each = setting.catalogue.digest(PUBLIC), BUCKETS // PARTS
        hashes = [
            [digest.bucket(bucket) or _NO_LOG for bucket in range(at, at + each)]
            for at in range(0, BUCKETS, each)
        ]
        self._parts = b"".join(map(self._talk.salt.part, hashes))
        return self._parts

    def compare(self, theirs: bytes) -> None:
        """Take from the peer's HELLO which parts stand there as here: they need not be told."""
        size = BUCKET_BYTES
        if theirs and self._parts:
            self._alike = frozenset(
                part
                for part in range(PARTS)
                if theirs[part * size : part * size + size]
                == self._parts[part * size : part * size + size]
            )

    def _is_alike(self, key: LogKey) -> bool:
        """Whether a log stands at the peer as it stood here at the beginning."""
        part = place_of(key)[0] * PARTS // BUCKETS
        return part in self._alike and self._talk.setting.catalogue.scope(key) == PUBLIC

    def _valid_up_to(self, seen: Seen | None) -> int:
        return valid_up_to(seen, self._talk.setting.catalogue.runs, self._offers)

    def begin(self, seen: Seen | None, *, is_contact: bool) -> None:
        """Begin, once the peer's HELLO said what he has seen."""
        self._valid = min(self._valid_up_to(seen), self._covered)
        ranges = seen.clipped(self._valid) if seen is not None else ()
        if is_contact:
            self._believe(seen)
        if is_contact and ranges:
            self._seen = ranges
            self._gaps.extend(unseen(ranges, self._covered))
        elif not is_contact or self._covered:
            self.by_root = True
            self.scopes.send_root(tells=True)
        self.pump()

    # --- by scopes ---

    def root(self, message: Root) -> list[Difference]:
        """Take the peer's ROOT; return what differs so far."""
        found = self.scopes.root(message)
        held, self._unshared = self._unshared, {}
        self.changed(held)  # it may belong to a group the peer has just named
        for difference in found:
            self._tell(difference)
        self.pump()
        return found

    def buckets(self, message: Buckets) -> None:
        """Take the peer's BUCKETS of a scope."""
        self._tell(self.scopes.buckets(message))
        self.pump()

    def _tell(self, difference: Difference) -> None:
        """Queue the pages of a scope, unless the peer is told by NEW anyway."""
        if not self.by_root or not difference.is_ours:
            return
        lacking = [(key, True) for key in difference.lacking]
        keys = sorted(lacking + [(key, False) for key in difference.shared])
        if len(keys) > self._talk.most_mentions:  # each meeting tells another part of them
            at = int.from_bytes(self._talk.setting.binding[:8], "big") % len(keys)
            keys = keys[at:] + keys[:at]
        size = self._talk.setting.policy.limits.page
        for at in range(0, max(len(keys), 1), size):
            last = at + size >= len(keys)
            self._vectors.append(_Page(difference.scope, keys[at : at + size], last))

    # --- what arrives meanwhile ---

    def changed(self, logs: Mapping[LogKey, bool]) -> None:
        """Take note of logs that stand differently now, and whether each began just now."""
        catalogue = self._talk.setting.catalogue
        for key, began in logs.items():
            shelf = self._fresh
            if not self._talk.may_offer(catalogue.scope(key)):
                shelf = self._unshared
            shelf[key] = began or shelf.get(key, False)
        if self._uncovered_since is None and self._is_uncovered:
            self._uncovered_since = self._talk.now

    @property
    def _is_uncovered(self) -> bool:
        setting = self._talk.setting
        return setting.peer is not None and setting.catalogue.lsn > self._covered

    # --- pages ---

    def ack(self, message: Ack) -> None:
        """Take the peer's ACK; an older one changes nothing."""
        if message.pages > self._pages:
            raise ProtocolError("an ACK for pages that were not sent")
        if message.pages > self._acked:
            self._acked = message.pages
            self._unacked_since = self._talk.now
        if self._talk.setting.peer is not None:
            self._believe(message.seen)
        self.pump()

    def _believe(self, seen: Seen | None) -> None:
        """Lsns above what a run reached were never given to anybody."""
        if seen is None:
            return
        ranges = seen.clipped(self._valid_up_to(seen))
        if ranges and (self.told is None or self.told.reach() <= seen.reach()):
            self.told = seen._replace(ranges=ranges)

    def pump(self) -> None:
        """Send what may be sent now: news first, in pages that cover what arrived."""
        while self._fresh and self._may_announce:
            self._announce()
        while not self.mentioned.is_full and self._pages - self._acked < MAX_PAGES:
            if not self._send_page():
                break

    def _send_page(self) -> bool:
        if self._gaps:
            return self._send_new()
        if self._vectors:
            page = self._vectors.pop(0)
            mentions: list[Mention] = []
            for key, in_full in page.keys:
                self._mention(mentions, key, in_full=in_full)
            if not self.mentioned.is_full:
                self._page(Vector(page.scope, page.last, mentions))
            return True
        return False

    def _page(self, message: New | Vector | Announce) -> None:
        if self._pages == self._acked:
            self._unacked_since = self._talk.now
        self._pages += 1
        self._talk.send(message)

    def _send_new(self) -> bool:
        if self._is_reading:
            return False
        low, high = self._gaps[0]
        if not self._news:
            self._is_reading = True
            self._talk.load(Arrivals(high + 1, min(_ARRIVALS, high - low + 1)), self._read)
            return False
        mentions, reached = self._mention_news(low)
        if self.mentioned.is_full:
            return False
        self._gaps.pop(0)
        if reached > low:
            self._gaps.insert(0, (low, reached - 1))
        self._page(New(self._valid, reached, high, not self._gaps, mentions))
        return True

    def _read(self, answer: Answer) -> None:
        self._is_reading = False
        low, high = self._gaps[0]
        self._news.extend(a for a in cast("list[Arrival]", answer) if low <= a.lsn <= high)
        if not self._news:
            raise RuntimeError(f"the store has no arrivals from {low} to {high}")
        self.pump()

    def _mention_news(self, low: int) -> tuple[list[Mention], int]:
        """Turn arrivals into mentions; return them, and the lsn down to which they speak."""
        catalogue = self._talk.setting.catalogue
        mentions: list[Mention] = []
        reached = low
        while self._news and len(mentions) < self._talk.setting.policy.limits.page:
            arrival = self._news.pop(0)
            reached = arrival.lsn
            key = (arrival.author, arrival.log)
            if self._talk.may_offer(catalogue.scope(key)) and not self._is_alike(key):
                began = arrival.what is What.BLOCKS and arrival.low == 1
                self._mention_device(mentions, key, began=began)
                self._mention(mentions, key, in_full=began)
        return mentions, reached

    def _mention(self, mentions: list[Mention], key: LogKey, *, in_full: bool) -> None:
        mention = self.mentioned.mention(key, in_full=in_full)
        if mention is not None:
            mentions.append(mention)

    def _mention_device(self, mentions: list[Mention], key: LogKey, *, began: bool) -> None:
        """Mention log 0 ahead of a log that began, unless the peer has processed it before."""
        catalogue, first = self._talk.setting.catalogue, (key[0], 0)
        if not began or key == first or not self._talk.may_offer(catalogue.scope(first)):
            return
        lsn = catalogue.newest(first)
        if not any(low <= lsn <= high for low, high in self._seen):
            self._mention(mentions, first, in_full=True)

    def _announce(self) -> None:
        """Tell a page of news; the last one says which lsns all of them cover."""
        catalogue, size = self._talk.setting.catalogue, self._talk.setting.policy.limits.page
        mentions: list[Mention] = []
        while self._fresh and len(mentions) < size:
            key, began = next(iter(self._fresh.items()))
            del self._fresh[key]
            standing = catalogue.standing(key)
            if standing is not None and not self._knows(key, standing):
                self._mention_device(mentions, key, began=began)
                self._mention(mentions, key, in_full=began)
        if mentions and not self.mentioned.is_full:
            self._send_announcement(mentions)

    def _send_announcement(self, mentions: list[Mention]) -> None:
        run, low, high = b"", 0, 0
        if self._is_uncovered and not self._fresh:
            catalogue = self._talk.setting.catalogue
            if catalogue.run != self._run:
                run = run_name(catalogue.run, self._offers)
            low, high = self._covered + 1, catalogue.lsn
            self._covered, self._run = catalogue.lsn, catalogue.run
            self._uncovered_since = None
        self._page(Announce(run, low, high, mentions))

    def cover(self) -> None:
        """Tell the peer that lsns without mentions are nothing new to him."""
        if self._may_cover:
            self._send_announcement([])

    @property
    def _may_announce(self) -> bool:
        return not self.mentioned.is_full and self._pages - self._acked < MAX_ANNOUNCES

    @property
    def _may_cover(self) -> bool:
        return self._is_uncovered and not self._fresh and self._may_announce

    @property
    def cover_due(self) -> float | None:
        """When ``cover`` is to be called at the latest."""
        if self._uncovered_since is None or not self._may_cover:
            return None
        return self._uncovered_since + self._talk.setting.policy.limits.settle

    @property
    def unacked_since(self) -> float | None:
        """Since when pages wait for the peer and it has acknowledged none."""
        return self._unacked_since if self._acked < self._pages else None

    @property
    def is_told(self) -> bool:
        """Whether all was told and the peer has processed it, live news included."""
        if self.by_root and not self.scopes.is_settled:
            return False
        pending = self._gaps or self._vectors or self._fresh
        return not pending and self._acked == self._pages
