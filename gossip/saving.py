"""What a session keeps of a contact in the store, while it goes on and at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.notes import groups_note, remember, remember_groups, seen_note, told_note
from gossip.policy import PUBLIC
from ledger.store.base import Batch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gossip.cursor import Seen
    from gossip.reading import Reading
    from gossip.talk import Talk
    from ledger.store.base import Absorbed


class Saving:
    """Notes of the peer, if the link authenticated one.

    Args:
        talk: The session's surroundings.
        reading: What of the peer's store is processed.
    """

    def __init__(self, talk: Talk, reading: Reading) -> None:
        self._talk = talk
        self._reading = reading
        self._is_saving = False
        self._unsaved_since: float | None = None

    @property
    def due(self) -> float | None:
        """When ``save`` is to be called at the latest."""
        since = self._unsaved_since
        return None if since is None else since + self._talk.setting.policy.limits.settle

    @property
    def is_done(self) -> bool:
        """Whether all that was processed is kept."""
        return self._unsaved_since is None and not self._is_saving

    def notice(self) -> None:
        """See whether more was processed than is kept."""
        if self._reading.processed.is_changed and self._unsaved_since is None:
            self._unsaved_since = self._talk.now

    def save(self) -> None:
        """Keep what is processed so that it survives a power cut, then tell the peer."""
        peer, processed = self._talk.setting.peer, self._reading.processed
        self._unsaved_since = None
        if self._is_saving or peer is None or not (processed.seen or processed.is_changed):
            return
        processed.is_changed = False
        self._is_saving = True
        batch = Batch(notes={seen_note(peer.device): self._remember(processed.seen)})
        self._talk.keep(batch, self._saved, durable=True)

    def _remember(self, seen: Seen | None) -> bytes | None:
        return None if seen is None else remember(seen, self._talk.setting.policy.wants)

    def _saved(self, _: Absorbed) -> None:
        self._is_saving = False
        self._reading.acknowledge_seen()

    def finish(self, told: Seen | None, more: Mapping[str, bytes]) -> None:
        """Keep what is known of the peer at the end.

        Args:
            told: What he says he processed of this store, if he said so.
            more: Further notes of him.
        """
        setting, seen = self._talk.setting, self._reading.processed.seen
        if setting.peer is None:
            return
        device, notes = setting.peer.device, dict[str, bytes | None](more)
        if told is not None and told != setting.told:
            notes[told_note(device)] = told.encode()
        if not self._talk.scopes <= setting.shared | {PUBLIC}:
            groups = self._talk.scopes | setting.shared
            notes[groups_note(device)] = remember_groups(groups - {PUBLIC})
        if self._reading.processed.is_changed:
            notes[seen_note(device)] = self._remember(seen)
        if notes:
            self._talk.keep(Batch(notes=notes), lambda _: None)
