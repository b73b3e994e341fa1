"""Figures: what the engine delivered by age, beside what the oracle could, and what it cost.

A pair is a message and somebody it is for. Age is the time since the message was written; what is
delivered by an age is a share of all pairs, those that nothing could ever reach included.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.sim.air import Tally

HOUR_S: Final = 3600.0
AGES: Final = {"1h": 1.0, "3h": 3.0, "6h": 6.0, "12h": 12.0, "24h": 24.0, "48h": 48.0}
END: Final = "end"


@dataclass(frozen=True, slots=True)
class Delays:
    """How long messages took.

    Attributes:
        pairs: How many there are.
        seconds: Of each pair that was delivered, ascending.
    """

    pairs: int
    seconds: list[float]

    @classmethod
    def of(cls, pairs: int, seconds: Iterable[float]) -> Delays:
        """Sort ``seconds``."""
        return cls(pairs, sorted(seconds))

    def by_age(self) -> dict[str, float]:
        """Return the share delivered by each of ``AGES``, and in the end."""
        ages = {name: hours * HOUR_S for name, hours in AGES.items()} | {END: float("inf")}
        return {name: self._share(bisect_right(self.seconds, at)) for name, at in ages.items()}

    def _share(self, count: int) -> float:
        return count / self.pairs if self.pairs else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How messages of one sort spread.

    Attributes:
        messages: How many were written.
        measured: How many of them these figures are about; of very many it is a part.
        pairs: Those, and whom they were for.
        delivery: Share of pairs by age.
        oracle: The same of unlimited flooding with every node as a carrier, liars too, for those
            carry what they do not spoil: nothing is above it.
        ratios: One over the other, 1 at most; None where nothing could be delivered.
        oracle_honest: Unlimited flooding by honest nodes alone. What liars carried comes on top,
            so that
        ratios_honest: may be above 1.
    """

    messages: int
    measured: int
    pairs: int
    delivery: dict[str, float]
    oracle: dict[str, float]
    ratios: dict[str, float | None]
    oracle_honest: dict[str, float]
    ratios_honest: dict[str, float | None]

    @classmethod
    def of(
        cls, messages: int, measured: int, engine: Delays, best: Delays, honest: Delays
    ) -> Spread:
        """Compare the engine's delays with both oracles', of the same pairs."""
        delivery, oracle, apart = engine.by_age(), best.by_age(), honest.by_age()
        over, over_honest = _over(delivery, oracle), _over(delivery, apart)
        return cls(messages, measured, best.pairs, delivery, oracle, over, apart, over_honest)


def _over(delivery: dict[str, float], oracle: dict[str, float]) -> dict[str, float | None]:
    return {age: delivery[age] / most if most else None for age, most in oracle.items()}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went over the air.

    Attributes:
        meetings: Links that were opened.
        frames: Sent.
        bytes_on_air: Of frames, four more each.
        useful_bytes: Of headers, signatures, bodies and envelopes that were new to their receiver.
        bytes_per_useful_byte: One over the other; None where nothing was new.
        blocks: Received.
        new_blocks: Of those, new to their receiver.
        envelopes: Received whole.
    """

    meetings: int
    frames: int
    bytes_on_air: int
    useful_bytes: int
    bytes_per_useful_byte: float | None
    blocks: int
    new_blocks: int
    envelopes: int

    @classmethod
    def of(cls, *tallies: Tally) -> Traffic:
        """Add up tallies."""
        air, useful = sum(one.air for one in tallies), sum(one.useful for one in tallies)
        return cls(
            sum(one.links for one in tallies),
            sum(one.frames for one in tallies),
            air,
            useful,
            air / useful if useful else None,
            sum(one.blocks for one in tallies),
            sum(one.new for one in tallies),
            sum(one.envelopes for one in tallies),
        )


@dataclass(frozen=True, slots=True)
class Copies:
    """How often posts and letters were received.

    Attributes:
        per_delivery: Blocks received, those held already included, for each new one; 1 is best.
        per_message: Nodes that each post reached on average.
        per_letter: How often each letter went from one node to another on average.
    """

    per_delivery: float | None
    per_message: float | None
    per_letter: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to.

    Attributes:
        seed: What decided everything random.
        nodes: How many.
        liars: Of those.
        contacts: Of the trace.
        days: From the first contact to the end of the last.
        posts: What was said to all.
        mail: What was said to one; None where nothing was.
        copies: Of posts.
        traffic: In all.
        after_first_meeting: The same without the first link of each pair.
        signatures_verified: With what was checked once remembered.
        endings: How many sessions ended why.
    """

    seed: int
    nodes: int
    liars: int
    contacts: int
    days: float
    posts: Spread
    mail: Spread | None
    copies: Copies
    traffic: Traffic
    after_first_meeting: Traffic
    signatures_verified: int
    endings: dict[str, int] = field(default_factory=dict)
