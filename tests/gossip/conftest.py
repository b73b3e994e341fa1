"""Each test of meetings begins with the same dice, whatever ran before it."""

import pytest

from tests.gossip.mail_builders import forget_meetings


@pytest.fixture(autouse=True)
def fresh_dice() -> None:
    forget_meetings()
