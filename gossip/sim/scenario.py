"""A run from beginning to end: what is asked for, the world it makes, and its report."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from gossip.mail_room import MailLimits
from gossip.sim.air import Air
from gossip.sim.churn import awake, draw_naps, next_awake
from gossip.sim.interest import audience, nearest
from gossip.sim.liar import Liar, Lie
from gossip.sim.oracle import Oracle
from gossip.sim.report import Copies, Delays, Report, Spread, Traffic
from gossip.sim.workload import Letter, Post, draw_letters, draw_posts
from gossip.sim.world import Plan, World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gossip.sim.churn import Naps
    from gossip.sim.trace import Trace

YEARS_MS: Final = 20 * 365 * 86_400_000
"""Wrong clocks are wrong by up to so much, one way or the other."""
MAX_MEASURED: Final = 2_000
"""Of more posts than these, so many are compared with the oracle."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is asked for.

    Attributes:
        seed: Decides everything random.
        mail: Letters sent, each from any node to any other, in the same time.
        buffer: Envelopes that each node carries for others at most; None: as many as real ones do.
        posts: Written, by any node at any moment of the first two thirds.
        letter: Bytes of a letter's ciphertext.
        setup: Seconds from coming into range to the first frame.
        rate: Bytes a second in each direction; None: any number takes no time.
        latency: Seconds from the end of sending to being received.
        radio: Whether all links of a node share ``rate``, in both directions.
        cut: Seconds after set-up in which a contact is over at the latest; None: it lasts.
        follows: How many others each node wants the logs of, those it meets most; None: of all.
        text: Bytes of a post's text.
        strangers: Whether nobody recognises anybody.
        churn: Whether nodes are switched off now and then.
        crashes: Whether they crash now and then; with ``churn`` about every second time.
        liars: How many nodes lie; they write nothing.
        clocks: Whether everybody's clock is wrong.
    """

    seed: int = 0
    posts: int = 200
    mail: int = 0
    buffer: int | None = None
    letter: int = 512
    setup: float = 5.0
    rate: float | None = None
    latency: float = 0.0
    radio: bool = False
    cut: float | None = None
    follows: int | None = None
    text: int = 140
    strangers: bool = False
    churn: bool = False
    crashes: bool = False
    liars: int = 0
    clocks: bool = False


@dataclass(frozen=True, slots=True)
class _Cast:
    """Who is in it.

    Attributes:
        trace: What is left of the contacts once they are cut.
        naps: When each node is switched off, or down after a crash.
        crashes: Which of them began with a crash.
        liars: By number.
        posts: Written by the others, ascending.
        letters: Sent by the others, ascending.
        follows: As ``Plan.follows``.
    """

    trace: Trace
    naps: dict[int, Naps]
    crashes: frozenset[tuple[int, float]]
    liars: dict[int, Liar]
    posts: list[Post]
    letters: list[Letter]
    follows: list[tuple[int, ...]] | None


def simulate(
    trace: Trace, scenario: Scenario, tell: Callable[[float], None] = lambda _: None
) -> Report:
    """Run a scenario.

    Args:
        trace: Who is near whom, when.
        scenario: What is asked for.
        tell: Told the moment now and then, seconds from the start of the trace.
    """
    cast = _cast(trace, scenario)
    world = World(cast.trace, cast.posts, _plan(cast, scenario), cast.letters)
    world.run(tell)
    return _report(world, cast, scenario)


def _dice(scenario: Scenario, what: str) -> Random:
    """Return dice of their own for each purpose, so that one draw more does not change all."""
    return Random(f"{scenario.seed}/{what}")


def _cast(trace: Trace, scenario: Scenario) -> _Cast:
    if scenario.cut is not None:
        trace = trace.cut(scenario.setup + scenario.cut)
    count = len(trace.names)
    is_restless = scenario.churn or scenario.crashes
    naps = draw_naps(count, trace.span, _dice(scenario, "churn")) if is_restless else {}
    numbers = _dice(scenario, "liars").sample(range(count), min(scenario.liars, count))
    lies = list(Lie)
    liars = {
        number: Liar(lies[at % len(lies)], _dice(scenario, f"liar {number}"))
        for at, number in enumerate(sorted(numbers))
    }
    honest = [number for number in range(count) if number not in liars]
    posts = [
        post._replace(born=next_awake(naps.get(post.author, ()), post.born))
        for post in draw_posts(trace.span, honest, scenario.posts, _dice(scenario, "posts"))
    ]
    within = sorted(post for post in posts if post.born <= trace.span)
    letters = [
        letter._replace(born=next_awake(naps.get(letter.source, ()), letter.born))
        for letter in draw_letters(trace.span, honest, scenario.mail, _dice(scenario, "mail"))
    ]
    sent = sorted(letter for letter in letters if letter.born <= trace.span)
    follows = None if scenario.follows is None else nearest(trace, scenario.follows)
    return _Cast(trace, naps, _crashes(naps, scenario), liars, within, sent, follows)


def _crashes(naps: Mapping[int, Naps], scenario: Scenario) -> frozenset[tuple[int, float]]:
    """Return which naps begin with a crash: none, all, or by chance."""
    dice, share = _dice(scenario, "crashes"), 0.5 if scenario.churn else 1.0
    starts = [(node, start) for node, times in naps.items() for start, _ in times]
    return frozenset(one for one in starts if scenario.crashes and dice.random() < share)


def _plan(cast: _Cast, scenario: Scenario) -> Plan:
    dice, nodes = _dice(scenario, "clocks"), range(len(cast.trace.names))
    wrong = {node: dice.randint(-YEARS_MS, YEARS_MS) for node in nodes if scenario.clocks}
    return Plan(
        seed=scenario.seed,
        air=Air(scenario.setup, scenario.rate, scenario.latency, scenario.radio),
        strangers=scenario.strangers,
        text=scenario.text,
        follows=cast.follows,
        errors_ms=wrong,
        asleep=cast.naps,
        crashes=cast.crashes,
        liars=cast.liars,
        letter=scenario.letter,
        mail=MailLimits() if scenario.buffer is None else MailLimits(envelopes=scenario.buffer),
    )


def _report(world: World, cast: _Cast, scenario: Scenario) -> Report:
    whole = Traffic.of(world.first, world.later)
    posts = len(cast.posts)
    return Report(
        seed=scenario.seed,
        nodes=len(world.nodes),
        liars=len(cast.liars),
        contacts=len(cast.trace.contacts),
        days=cast.trace.span / 86_400,
        posts=_spread(world, cast, scenario),
        mail=_letters(world, cast, scenario) if cast.letters else None,
        copies=Copies(
            whole.blocks / whole.new_blocks if whole.new_blocks else None,
            len(world.deliveries) / posts if posts else None,
            whole.envelopes / len(cast.letters) if cast.letters else None,
        ),
        traffic=whole,
        after_first_meeting=Traffic.of(world.later),
        signatures_verified=world.commons.verified,
        endings={end.name: count for end, count in sorted(world.endings.items(), key=str)},
    )


class _Said(NamedTuple):
    """A message, as an oracle is asked about it.

    Attributes:
        author: Who wrote it.
        born: When, seconds.
        carriers: Who takes it and passes it on.
        readers: For whom it counts: honest ones.
    """

    author: int
    born: float
    carriers: frozenset[int]
    readers: frozenset[int]


def _spread(world: World, cast: _Cast, scenario: Scenario) -> Spread:
    """Compare what reached honest nodes with what the oracles bring them."""
    posts = cast.posts
    step = -(-len(posts) // MAX_MEASURED) or 1
    everybody = frozenset(range(len(world.nodes)))
    honest, carriers = everybody - cast.liars.keys(), audience(cast.follows, everybody)
    said = [
        _Said(post.author, post.born, among, (among & honest) - {post.author})
        for post in posts[::step]
        for among in [carriers(post.author)]
    ]
    engine = [
        at - posts[post].born
        for post, node, at in world.deliveries
        if post % step == 0 and node in honest
    ]
    return _compared(len(posts), said, engine, cast, scenario)


def _letters(world: World, cast: _Cast, scenario: Scenario) -> Spread:
    """Compare when letters came with when the oracles bring them."""
    letters, everybody = cast.letters, frozenset(range(len(world.nodes)))
    said = [_Said(one.source, one.born, everybody, frozenset({one[2]})) for one in letters]
    engine = [at - letters[number].born for number, at in world.received.items()]
    return _compared(len(letters), said, engine, cast, scenario)


def _compared(
    messages: int, said: Sequence[_Said], engine: list[float], cast: _Cast, scenario: Scenario
) -> Spread:
    """Let what was said flood as well, over all that carry it and over the honest of them."""
    oracle = Oracle(awake(cast.trace, cast.naps), scenario.setup)
    best = [at for one in said for at in _flooded(oracle, one, one.carriers)]
    honest = best
    if cast.liars:
        apart = [(one, one.carriers - cast.liars.keys()) for one in said]
        honest = [at for one, among in apart for at in _flooded(oracle, one, among)]
    pairs = sum(len(one.readers) for one in said)
    delays = [Delays.of(pairs, seconds) for seconds in (engine, best, honest)]
    return Spread.of(messages, len(said), *delays)


def _flooded(oracle: Oracle, said: _Said, among: frozenset[int]) -> list[float]:
    reached = oracle.earliest(said.author, said.born, among)
    return [reached[node] - said.born for node in said.readers if node in reached]
