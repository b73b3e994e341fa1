"""One meeting with one peer, as a state machine that does no I/O.

The owner feeds in what happened (``start``, ``receive``, ``drained``, ``sent``, ``loaded``,
``kept``, ``changed``, ``tick``, ``stop``) and carries out the effects each call returns. ``now``
is seconds on any monotonic clock. What a peer sends never raises; it may end the meeting.

``TRANSITIONS`` are the states a meeting goes through (docs/protocol.md has them as a picture):

    IDLE        not started
    GREETING    HELLO is sent, the peer's has not come
    SYNCING     both tell, ask and send
    LIVE        all that was told is settled; news are told as they come
    PARTING     BYE is sent; what the peer still asks for is sent
    CLOSED      over
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from gossip import control
from gossip.control import CARRIES, STAYS, VERSION, Bye, Hello
from gossip.describing import Describing
from gossip.effects import Effect, End, Finish
from gossip.mailing import Mailing
from gossip.postal import Envelopes, Leave, Offers, Pieces, Take, Tokens
from gossip.pulling import Pulling
from gossip.saving import Saving
from gossip.serving import Serving
from gossip.talk import Counts, ProtocolError, Setting, SilentError, Talk
from gossip.wire import Bodies, Data, Proofs, Statements, Unknown, decode_message
from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gossip.effects import Answer
    from gossip.postal import Notice, Post
    from gossip.wire import Message
    from ledger.store.base import Absorbed, LogKey


class State(Enum):
    """Where a meeting is."""

    IDLE = "not started"
    GREETING = "waiting for HELLO"
    SYNCING = "telling, asking, sending"
    LIVE = "equal, and telling news"
    PARTING = "BYE is sent"
    CLOSED = "over"


TRANSITIONS: Final = frozenset(
    {
        (State.IDLE, State.GREETING),
        (State.GREETING, State.SYNCING),
        (State.SYNCING, State.LIVE),
        (State.LIVE, State.SYNCING),
        (State.SYNCING, State.PARTING),
        (State.IDLE, State.CLOSED),
        (State.GREETING, State.CLOSED),
        (State.SYNCING, State.CLOSED),
        (State.LIVE, State.CLOSED),
        (State.PARTING, State.CLOSED),
    }
)


class Session:
    """One meeting.

    Args:
        setting: Where it takes place.

    Attributes:
        state: Where it is.
    """

    def __init__(self, setting: Setting) -> None:
        self.state = State.IDLE
        self._setting = setting
        self._talk = Talk(setting, setting.claims.enter())
        self._pulling = Pulling(self._talk)
        self._describing = Describing(self._talk, self._pulling.told.knows)
        mail, inbox = setting.mail, self._pulling.inbox
        self._mailing = Mailing(self._talk, mail, inbox) if mail is not None else None
        self._serving = Serving(self._talk, self._describing.mentioned, self._mailing)
        self._saving = Saving(self._talk, self._pulling.reading)
        self._began = self._heard = 0.0
        self._stays = False
        self._has_left = False

    @property
    def stays(self) -> bool:
        """Whether both sides stay once all is equal, as far as that is known."""
        return self._stays

    @property
    def counts(self) -> Counts:
        """What it came to so far."""
        return self._talk.counts

    # --- inputs ---

    def start(self, now: float) -> list[Effect]:
        """Begin: send HELLO."""
        return self._handle(now, self._greet)

    def receive(self, frame: bytes, now: float) -> list[Effect]:
        """Take one frame from the peer."""
        counts = self._talk.counts
        counts.frames_in += 1
        counts.bytes_in += len(frame)
        self._heard = now
        return self._handle(now, lambda: self._read(frame))

    def drained(self, now: float) -> list[Effect]:
        """Take note that no frame is waiting to be received: a moment to store what came."""
        return self._handle(now, self._drained)

    def sent(self, now: float) -> list[Effect]:
        """Take note that the link has taken a frame of bulk."""
        return self._handle(now, self._sent)

    def loaded(self, ticket: int, answer: Answer, now: float) -> list[Effect]:
        """Take the answer to a ``Load``."""
        return self._handle(now, lambda: self._talk.loaded(ticket, answer))

    def kept(self, ticket: int, absorbed: Absorbed, now: float) -> list[Effect]:
        """Take the outcome of a ``Keep``; the catalogue knows of it already."""
        return self._handle(now, lambda: self._talk.kept(ticket, absorbed))

    def changed(self, logs: Mapping[LogKey, bool], now: float) -> list[Effect]:
        """Take note of logs that stand differently now, through whatever, this meeting included.

        Args:
            logs: As ``Catalogue.learn`` returns them.
            now: The moment.
        """
        return self._handle(now, lambda: self._notice(logs))

    def tick(self, now: float) -> list[Effect]:
        """Do what is due; see ``next_tick``."""
        return self._handle(now, self._tick)

    def stop(self, now: float, end: End = End.STOPPED) -> list[Effect]:
        """End it; what came is still stored.

        Args:
            now: The moment.
            end: Why: this side wants to, or the link is gone.
        """
        if self.state is State.CLOSED:
            return []
        self._talk.now = now
        self._finish(end)
        return self._talk.take_effects()

    def next_tick(self) -> float | None:
        """Return when ``tick`` is due, None while nothing is."""
        limits = self._setting.policy.limits
        match self.state:
            case State.IDLE | State.CLOSED:
                return None
            case State.GREETING:
                return self._began + limits.greeting
            case _:
                pass
        waits = self._waits_since
        due = [
            self._pulling.next_tick,
            self._describing.cover_due,
            self._saving.due,
            self._mailing.next_tick if self._mailing is not None else None,
            self._full_at,
            None if waits is None else waits + limits.stall,
        ]
        return min((at for at in due if at is not None), default=None)

    @property
    def _waits_since(self) -> float | None:
        """Since when something is due from the peer: credit, a page, an ACK, its BYE."""
        unacked, outlet = self._describing.unacked_since, self._serving.outlet
        since = [
            outlet.starved_since,
            self._pulling.reading.awaits_since,
            self._describing.scopes.awaits_since,
            None if unacked is None else max(unacked, outlet.moved),
            self._heard if self.state is State.PARTING else None,
            self._awaits_mail_since,
        ]
        return min((at for at in since if at is not None), default=None)

    @property
    def _full_at(self) -> float | None:
        """When a meeting is given up in which no more mail can be offered, if the peer is done."""
        since = None if self._mailing is None else self._mailing.giving.full_since
        if since is None or not (self._serving.is_idle and self._pulling.is_quiet):
            return None
        return since + self._setting.policy.limits.silence

    @property
    def _awaits_mail_since(self) -> float | None:
        """Other things may go first on a slow link: they will do, but only if they get on."""
        mailing = self._mailing
        if mailing is None or not mailing.is_waiting:
            return None
        return max(mailing.moved, self._pulling.heard_at, self._serving.outlet.sent_at)

    # --- the machine ---

    def _handle(self, now: float, step: Callable[[], None]) -> list[Effect]:
        if self.state is State.CLOSED:
            return []
        self._talk.now = now
        try:
            step()
            self._advance()
        except (ProtocolError, InvalidError) as exc:
            self._finish(End.HOSTILE, str(exc))
        except SilentError:
            self._finish(End.SILENT)
        return self._talk.take_effects()

    def _enter(self, state: State) -> None:
        if (self.state, state) not in TRANSITIONS:
            raise RuntimeError(f"from {self.state.name} to {state.name}")
        self.state = state

    def _greet(self) -> None:
        policy = self._setting.policy
        limits = policy.limits
        self._enter(State.GREETING)
        self._began = self._talk.now
        features = (STAYS if policy.live else 0) | (CARRIES if self._mailing else 0)
        self._talk.send(
            Hello(
                (VERSION,),
                features,
                limits.frame,
                limits.window,
                limits.receive,
                self._describing.greet(),
                self._mailing.greet() if self._mailing else None,
                self._describing.parts(),
            )
        )

    def _read(self, frame: bytes) -> None:
        message = decode_message(frame)
        if isinstance(message, Hello) or self.state is State.GREETING:
            self._hello(message)
        else:
            self._dispatch(message, len(frame))

    def _hello(self, message: Message) -> None:
        if not isinstance(message, Hello) or self.state is not State.GREETING:
            raise ProtocolError("HELLO comes first, and once")
        if VERSION not in message.versions:
            self._finish(End.VERSION)
            return
        self._enter(State.SYNCING)
        policy, is_contact = self._setting.policy, self._setting.peer is not None
        self._stays = policy.live and bool(message.features & STAYS)
        self._talk.frame = min(message.frame_limit, message.window, policy.limits.frame)
        told = message.contact if is_contact else None
        self._serving.outlet.begin(message.window, message.budget)
        self._pulling.reading.begin(told)
        self._describing.compare(message.parts if is_contact else b"")
        if self._mailing is not None:
            self._mailing.begin(message)
        self._describing.begin(told.seen if told is not None else None, is_contact=is_contact)

    def _drained(self) -> None:
        self._pulling.inbox.flush()

    def _sent(self) -> None:
        """The peer may only now get what it is asked, or the link bring what it answers."""
        self._pulling.heard()
        self._serving.sent()

    def _dispatch(self, message: Message, size: int) -> None:  # noqa: C901, PLR0912  one a message
        pulling, describing = self._pulling, self._describing
        match message:
            case control.New():
                pulling.consider_all(pulling.reading.new(message))
            case control.Vector():
                pulling.consider_all(pulling.reading.vector(message))
            case control.Announce():
                pulling.consider_all(pulling.reading.announce(message))
            case control.Root():
                differing = describing.root(message)
                if message.tells:
                    pulling.reading.expect(differing, describing.scopes.awaited)
            case control.Buckets():
                describing.buckets(message)
            case control.Want():
                self._serving.want(message)
            case control.Credit():
                self._serving.credit(message)
            case control.Ack():
                describing.ack(message)
            case control.Entries():
                pulling.entries(message)
            case control.Ids():
                pulling.ids(message)
            case control.Done():
                pulling.done(message)
            case control.Bye():
                self._has_left = True
            case Data() | Bodies() | Statements() | Proofs():
                pulling.receive(message, size)
            case Envelopes() | Pieces() | Tokens() | Offers() | Take() | Leave():
                self._post(message, size)
            case Hello() | Unknown():
                pass
        pulling.pump()

    def _post(self, message: Post | Notice, size: int) -> None:
        if self._mailing is None:
            raise ProtocolError("mail that was not agreed upon")
        if isinstance(message, Envelopes | Pieces | Tokens):
            if self._mailing.receive(message, size):
                self._pulling.heard()
            return
        self._mailing.steer(message)
        if isinstance(message, Take):
            self._serving.errands(self._mailing.giving.take(message))

    def _notice(self, logs: Mapping[LogKey, bool]) -> None:
        if self.state is not State.IDLE:
            self._describing.changed(logs)
        if self.state in (State.SYNCING, State.LIVE):
            self._pulling.reconsider(logs)
            self._pulling.pump()
            self._describing.pump()
            if self._mailing is not None:
                self._mailing.changed()

    def _tick(self) -> None:
        now, limits = self._talk.now, self._setting.policy.limits
        if self.state is State.GREETING:
            if now >= self._began + limits.greeting:
                raise SilentError
            return
        if (waits := self._waits_since) is not None and now >= waits + limits.stall:
            raise SilentError
        if (due := self._full_at) is not None and now >= due:
            self._finish(End.FULL)
            return
        if (due := self._describing.cover_due) is not None and now >= due:
            self._describing.cover()
        if (due := self._saving.due) is not None and now >= due:
            self._saving.save()
        if (
            self._mailing is not None
            and (due := self._mailing.next_tick) is not None
            and now >= due
        ):
            self._mailing.tick()
        self._pulling.tick()

    def _advance(self) -> None:
        """Go to the state that what is known asks for."""
        if self.state in (State.IDLE, State.GREETING, State.CLOSED):
            return
        self._saving.notice()
        has_all = self._pulling.is_done and (self._mailing is None or self._mailing.is_done)
        is_told = self._describing.is_told or self._serving.outlet.is_spent
        is_equal = has_all and is_told and self._serving.is_idle
        is_full = self._describing.mentioned.is_full
        if is_full and self._serving.is_idle and self._pulling.is_quiet:
            self._finish(End.FULL)
            return
        if self._stays:
            wanted = State.LIVE if is_equal else State.SYNCING
            if self.state is not wanted:
                self._enter(wanted)
        elif is_equal and self.state is State.SYNCING:
            self._part()
        if self._has_left and (self.state is State.PARTING or self._stays):
            self._finish(End.SPENT if self._serving.outlet.is_spent else End.DONE)

    def _part(self) -> None:
        """Say what is left to say, one thing after the other, and then BYE."""
        if self._describing.cover_due is not None:
            self._describing.cover()
        elif self._saving.due is not None:
            self._saving.save()
        elif self._saving.is_done:
            self._enter(State.PARTING)
            self._heard = self._talk.now
            self._talk.send(Bye())

    def _finish(self, end: End, detail: str = "") -> None:
        """Store what came and what is known of the peer, and close."""
        self._pulling.inbox.flush_now()
        notes: dict[str, bytes] = {}
        if self._mailing is not None:
            self._mailing.finish()
            notes = self._mailing.notes()
        self._saving.finish(self._describing.told, notes)
        self._setting.claims.leave(self._talk.meeting)
        self._pulling.leave()
        self._talk.leave()
        self._enter(State.CLOSED)
        self._talk.effect(Finish(end, detail))
