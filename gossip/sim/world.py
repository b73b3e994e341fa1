"""A world: nodes that write, meet as a trace says, and go away in the middle of a sentence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from gossip.mail_room import MailLimits
from gossip.sim.agenda import Agenda
from gossip.sim.air import Air, Tally
from gossip.sim.commons import Commons
from gossip.sim.deliveries import Deliveries
from gossip.sim.link import Link
from gossip.sim.mailbox import Sealed
from gossip.sim.node import POSTS, Identity, Node
from ledger.store.base import What

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gossip.effects import End as Why
    from gossip.effects import Keep
    from gossip.sim.trace import Contact, Trace
    from gossip.sim.workload import Letter, Post
    from ledger.store.base import Absorbed

TEXT: Final = "The ferry runs again, and the bridge at the mill is closed until Monday. "
_TOLD_EVERY: Final = 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """What a world is like.

    Attributes:
        seed: Decides all keys.
        air: How bytes travel.
        strangers: Whether nobody recognises anybody.
        live: Whether nodes stay in a meeting while they are near.
        again: Seconds until two who are still near open another link after one has ended.
        text: Bytes of a post's text.
        follows: Whose posts each node wants; None: all of everybody's.
        errors_ms: By how much the clocks of nodes are wrong; right where a node is not named.
        asleep: When nodes are switched off, (from, to) in seconds.
        crashes: At which of those moments a node crashes instead: it loses what is not durable.
        liars: What becomes of the frames that these nodes send.
        letter: Bytes of a letter's ciphertext.
        mail: How much mail everybody carries for others.
    """

    seed: int = 0
    air: Air = field(default_factory=Air)
    strangers: bool = False
    live: bool = True
    again: float = 60.0
    text: int = 140
    follows: Sequence[Sequence[int]] | None = None
    errors_ms: Mapping[int, int] = field(default_factory=dict)
    asleep: Mapping[int, Sequence[tuple[float, float]]] = field(default_factory=dict)
    crashes: frozenset[tuple[int, float]] = frozenset()
    liars: Mapping[int, Callable[[bytes], Iterable[bytes]]] = field(default_factory=dict)
    letter: int = 512
    mail: MailLimits = field(default_factory=MailLimits)


class World:
    """Nodes in a trace.

    Args:
        trace: Who is near whom, when.
        posts: What is written, ascending.
        plan: What the world is like.
        letters: What is sent, ascending; without any nobody carries mail.

    Attributes:
        nodes: By number.
        received: When each letter that reached its reader did, by its number.
        deliveries: Of posts, their authors aside.
        first: What went over the first link of each pair.
        later: What went over all others.
        endings: How many sessions ended why.
    """

    def __init__(
        self, trace: Trace, posts: Sequence[Post], plan: Plan, letters: Sequence[Letter] = ()
    ) -> None:
        self.commons = Commons()
        self.first, self.later = Tally(), Tally()
        self.endings: Counter[Why] = Counter()
        self._trace = trace
        self._posts = posts
        self._letters = letters
        self._sealed = [Sealed.of(plan.seed, number, plan.letter) for number in range(len(letters))]
        self._numbers = {one.envelope.id: number for number, one in enumerate(self._sealed)}
        self.received: dict[int, float] = {}
        self._plan = plan
        self._crashing = frozenset(number for number, _ in plan.crashes)
        self.deliveries = Deliveries(self._crashing)
        self._agenda = Agenda()
        self._identities = [Identity.of(plan.seed, one) for one in range(len(trace.names))]
        self.nodes = [self._node(number) for number in range(len(trace.names))]
        self._authors = {node.peer.device: node.number for node in self.nodes}
        self._written: list[list[int]] = [[] for _ in self.nodes]
        self._near: dict[tuple[int, int], Contact] = {}
        self._due: dict[tuple[int, int], float] = {}
        self._links: dict[tuple[int, int], Link] = {}
        self._met: set[tuple[int, int]] = set()
        self._opened = 0

    def _node(self, number: int) -> Node:
        plan, wants = self._plan, None
        if plan.follows is not None:
            wants = [self._identities[one].keys.public for one in plan.follows[number]]
        return Node(
            number,
            plan.seed,
            self._identities[number],
            self.commons,
            wants=wants,
            live=plan.live,
            error_ms=plan.errors_ms.get(number, 0),
            mail=plan.mail if self._letters else None,
            may_crash=number in self._crashing,
        )

    def run(self, tell: Callable[[float], None] = lambda _: None) -> None:
        """Let everything happen, to the end of the trace.

        Args:
            tell: Told the moment now and then, seconds.
        """
        agenda, span, steps = self._agenda, self._trace.span, 0
        self._await_contact(iter(self._trace.contacts))
        self._await_post(iter(enumerate(self._posts)))
        for number, letter in enumerate(self._letters):
            agenda.at(letter.born, partial(self._send, number, letter))
        for number, times in self._plan.asleep.items():
            for start, end in times:
                stop = self._crash if (number, start) in self._plan.crashes else self._sleep
                agenda.at(start, partial(stop, self.nodes[number]))
                agenda.at(end, partial(self._wake, self.nodes[number]))
        while agenda.step(span):
            steps += 1
            if steps % _TOLD_EVERY == 0:
                tell(agenda.now)
        tell(span)

    # --- what happens ---

    def _await_post(self, posts: Iterator[tuple[int, Post]]) -> None:
        for number, post in posts:
            self._agenda.at(post.born, partial(self._write, number, post, posts))
            return

    def _write(self, number: int, post: Post, posts: Iterator[tuple[int, Post]]) -> None:
        self._await_post(posts)
        text = f"{number} {TEXT * (1 + self._plan.text // len(TEXT))}"[: self._plan.text]
        self._written[post.author].append(number)
        self.nodes[post.author].write(text, self._agenda.now)

    def _send(self, number: int, letter: Letter) -> None:
        """Have both know of a letter, and its writer carry it."""
        source, destination = self.nodes[letter.source], self.nodes[letter.destination]
        if source.mailbox is not None and destination.mailbox is not None:
            destination.mailbox.expect(self._sealed[number])
            source.mailbox.send(self._sealed[number], self._agenda.now)

    def _read(self, node: Node) -> None:
        letters, node.unread = node.unread, []
        for ident in letters:
            self.received.setdefault(self._numbers[ident], self._agenda.now)
            if node.mailbox is not None:
                node.mailbox.read(ident, self._agenda.now)

    def _await_contact(self, contacts: Iterator[Contact]) -> None:
        for contact in contacts:
            self._agenda.at(contact.start, partial(self._meet, contact, contacts))
            return

    def _meet(self, contact: Contact, contacts: Iterator[Contact]) -> None:
        self._await_contact(contacts)
        self._near[_pair(contact)] = contact
        self._agenda.at(contact.end, partial(self._part, contact), last=True)
        self._open_in(contact, self._plan.air.setup)

    def _part(self, contact: Contact) -> None:
        del self._near[_pair(contact)]
        self._due.pop(_pair(contact), None)
        if (link := self._links.get(_pair(contact))) is not None:
            link.close()

    def _sleep(self, node: Node) -> None:
        node.is_awake = False
        for pair in [pair for pair in self._links if node.number in pair]:
            self._links[pair].close()

    def _crash(self, node: Node) -> None:
        """Have a node vanish in the middle of all it does; the others see that links die."""
        for end in node.ends:
            end.die()
        self._sleep(node)
        node.crash()

    def _wake(self, node: Node) -> None:
        node.is_awake = True
        node.restart()
        for pair, contact in self._near.items():
            if node.number in pair:
                self._open_in(contact, self._plan.air.setup)

    # --- links ---

    def _open_in(self, contact: Contact, seconds: float) -> None:
        """Open a link after ``seconds``, and not before, whatever was planned."""
        when = self._due[_pair(contact)] = self._agenda.now + seconds
        if when < contact.end:
            self._agenda.at(when, partial(self._open, contact, when))

    def _open(self, contact: Contact, due: float) -> None:
        pair = _pair(contact)
        left, right = self.nodes[contact.left], self.nodes[contact.right]
        if self._due.get(pair) != due or not (left.is_awake and right.is_awake):
            return
        del self._due[pair]  # both may have asked for this very moment
        self._opened += 1
        tally = self.later if pair in self._met else self.first
        self._met.add(pair)
        link = self._links[pair] = Link(
            (left, right),
            self._agenda,
            self.commons,
            air=self._plan.air,
            tally=tally,
            binding=sha256(f"{self._plan.seed}/link {self._opened}".encode()).digest(),
            strangers=self._plan.strangers,
            kept=self._kept,
            spoken=self._spoken,
            over=partial(self._over, contact),
        )
        link.start()

    def _over(self, contact: Contact, link: Link) -> None:
        del self._links[_pair(contact)]
        for end in link.ends:
            if end.finish is not None:
                self.endings[end.finish.end] += 1
        if _pair(contact) in self._near:
            self._open_in(contact, max(self._plan.again, self._plan.air.setup))

    def _spoken(self, node: Node, frame: bytes) -> Iterable[bytes]:
        lies = self._plan.liars.get(node.number)
        return (frame,) if lies is None else lies(frame)

    def _kept(self, node: Node, effect: Keep) -> Absorbed:
        absorbed = node.keep(effect.batch, self._agenda.now, durable=effect.durable)
        if node.unread:
            self._agenda.at_once(partial(self._read, node))
        for arrival in absorbed.arrivals:
            if arrival.log == POSTS and arrival.what is What.BLOCKS:
                self._delivered(node, arrival.author, arrival.low, arrival.high)
        return absorbed

    def _delivered(self, node: Node, author: bytes, low: int, high: int) -> None:
        written = self._written[self._authors[author]] if author in self._authors else []
        for post in written[low - 1 : high]:
            self.deliveries.add(post, node.number, self._agenda.now)


def _pair(contact: Contact) -> tuple[int, int]:
    return contact.left, contact.right
