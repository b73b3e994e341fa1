"""A peer that says the same again and again, while the store answers nothing, fills no memory."""

import gc
import tracemalloc

import pytest

from gossip.effects import Send
from gossip.session import Session
from gossip.wire import decode_message
from ledger.codec import Value, decode
from tools import fuzz_seeds
from tools.fuzz_conversations import controls, conversations, monologues
from tools.fuzz_meetings import MAX_BYTES, Table
from tools.fuzz_scenes import SCENES, stage

TIMES = 300
KILOBYTE = 1_024
FRAMES = [*controls()[2:], *fuzz_seeds.message()]


def names(frames: list[bytes]) -> list[str]:
    return [f"{number}-{type(decode_message(raw)).__name__}" for number, raw in enumerate(frames)]


def steps_of(meeting: bytes) -> list[Value]:
    steps = decode(meeting, MAX_BYTES)
    assert isinstance(steps, list)
    return steps


TALK = steps_of(conversations()[0])
SAID = [step for step in TALK if isinstance(step, bytes)]


def held_after(session: Session, frame: bytes) -> int:
    """Return how much memory is held after hearing a frame again and again."""
    session.receive(frame, 0.0)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(TIMES):
            session.receive(frame, 0.0)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("number", range(len(SAID)), ids=names(SAID))
def test_what_was_just_said_may_be_said_again_and_again(number: int) -> None:
    # given a real meeting up to a frame
    table = Table(SCENES[0])
    at = next(at for at, step in enumerate(TALK) if step is SAID[number])
    for step in TALK[1:at]:
        table.step(step)
    # when that frame comes again and again, and the store does not answer
    held = held_after(table.played.session, SAID[number])
    # then next to nothing is held because of it
    assert held < 64 * KILOBYTE


@pytest.mark.parametrize("frame", FRAMES, ids=names(FRAMES))
def test_what_is_answered_to_the_same_question_is_bounded(frame: bytes) -> None:
    # given a peer that told of some logs
    session = Session(stage(SCENES[0])[1])
    session.start(0.0)
    for step in steps_of(monologues()[0])[1:-1]:
        assert isinstance(step, bytes)
        session.receive(step, 0.0)
    # when it says one thing again and again
    answers = [effect for _ in range(TIMES) for effect in session.receive(frame, 0.0)]
    # then what it is sent for it does not grow without end
    sent = sum(len(effect.frame) for effect in answers if isinstance(effect, Send))
    assert sent <= 16 * KILOBYTE
