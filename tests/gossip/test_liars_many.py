"""Very many logs: how many are listened to, how many taken, and what each costs."""

from gossip.control import Ack, Greeting, Mention
from gossip.standing import Salt
from tests.gossip.liars import WRONG, Liar, again, claim, is_sound
from tests.gossip.meetings import BINDING, Node
from tests.strategies import Device, material

HIS_RUN = material("his run", 8)


def test_of_80000_logs_of_one_author_256_are_taken() -> None:
    node, author, other = Node(1), Device(5, 5), Node(2)
    liar = Liar(node).begin(Greeting(HIS_RUN, 9, None))
    salt = Salt(BINDING)
    for log in range(1, 301):
        author.write(log=log)
        other.hold(author.logs[log])
        standing = other.holdings.catalogue.standing((author.public, log))
        assert standing is not None
        liar.mention(claim((author.public, log), 1, check=salt.check(standing)))
        liar.send(author.logs[log])

    for page in range(80):
        logs = range(1_000 * (page + 1), 1_000 * (page + 2))
        liar.mention(*(claim((author.public, log), 1) for log in logs))

    assert liar.end is None
    assert [request.index for request in liar.asked()] == list(range(256))
    assert len(node.holdings.catalogue.numbers(author.public)) == 256
    assert liar.all(Ack)[-1] == Ack(300 + 80)
    assert is_sound(node)


def test_a_mention_costs_ten_objects_however_often_it_is_said() -> None:
    liar = Liar(Node(1)).begin(Greeting(HIS_RUN, 9, None)).mention()
    weight = liar.weight

    for page in range(10):
        liar.mention(
            *(Mention((material(f"{page} {n}"), 1), 0, plain=True, check=WRONG) for n in range(100))
        )

    assert liar.weight - weight <= 10 * 1_000
    liar.mention(*(again(index, 0, index) for index in range(1_000)))
    assert liar.weight - weight <= 10 * 1_000, "told again, it is still one"
