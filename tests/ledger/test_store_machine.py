"""The store in memory is the model of the one on disk, whatever happens to both."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from typing_extensions import override

from ledger.block import Block
from ledger.keys import verify
from ledger.run import verify_run
from ledger.store.base import Batch, LateBody, Store
from ledger.store.memory import MemoryStore
from tests.ledger.stores import everything, offer, open_sqlite, proof_of, runs, without_bodies
from tests.ledger.test_store_statements import revoke
from tests.strategies import GROUP, IDENTITY, SOCIAL, Device, items, run_of

numbers = st.sampled_from([IDENTITY, SOCIAL, GROUP])
part = st.floats(0, 1)


class Library(RuleBasedStateMachine):
    """Devices write and are copied; what they wrote reaches two stores in any way."""

    devices: Bundle[Device] = Bundle("devices")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.runner = asyncio.Runner()
        self.sqlite = self.runner.run(open_sqlite(Path(self.folder, "store.db")))
        self.model = MemoryStore()
        self.now = 0

    @property
    def stores(self) -> list[Store]:
        return [self.model, self.sqlite]

    def give(self, batch: Batch) -> None:
        self.now += 1
        self.runner.run(offer(self.stores, batch, seen=self.now))

    @rule(target=devices, number=st.integers(0, 1), owner=st.integers(0, 1))
    def a_device_begins(self, number: int, owner: int) -> Device:
        return Device(number, owner)

    @rule(device=devices, log=numbers, count=st.integers(1, 5) | st.just(66), text=st.text("ab"))
    def it_writes(self, device: Device, log: int, count: int, text: str) -> None:
        device.write_many(count, text, log=log)

    @rule(target=devices, device=devices, log=numbers)
    def it_is_copied_and_the_copy_writes(self, device: Device, log: int) -> Device:
        twin = device.twin()
        twin.write("as a copy", log=log)
        return twin

    def stretch(self, device: Device, log: int, start: float, end: float) -> list[Block]:
        blocks = device.logs.get(log) or device.logs[IDENTITY]
        low, high = sorted((int(start * (len(blocks) - 1)), int(end * (len(blocks) - 1))))
        return blocks[low : high + 1]

    @rule(device=devices, log=numbers, start=part, end=part, whole=st.booleans())
    def a_run_arrives(
        self, device: Device, log: int, start: float, end: float, *, whole: bool
    ) -> None:
        run = run_of(self.stretch(device, log, start, end), hops=len(device.logs))
        self.give(runs(run if whole else without_bodies(run)))

    @rule(device=devices, log=numbers)
    def a_whole_log_arrives_with_few_signatures(self, device: Device, log: int) -> None:
        blocks = self.stretch(device, log, 0, 1)
        self.give(runs(verify_run(items(blocks), verify)))

    @rule(device=devices, log=numbers, start=part, end=part)
    def bodies_arrive(self, device: Device, log: int, start: float, end: float) -> None:
        blocks = self.stretch(device, log, start, end)
        self.give(Batch(bodies=[LateBody(*b.header[:3], b.body or b"") for b in blocks]))

    @rule(left=devices, right=devices, log=numbers)
    def a_proof_arrives(self, left: Device, right: Device, log: int) -> None:
        ours, theirs = left.logs.get(log, []), right.logs.get(log, [])
        for at, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            if one.header.author == other.header.author and one.id != other.id:
                self.give(Batch(proofs=[proof_of(ours[at:], theirs[at:])]))
                return

    @rule(device=devices, seq=st.integers(1, 3))
    def a_statement_arrives(self, device: Device, seq: int) -> None:
        self.give(Batch(revocations=[revoke(device.number, seq, owner=device.owner)]))

    @rule(left=devices, right=devices, log=numbers, start=part)
    def a_batch_of_all_sorts_arrives(
        self, left: Device, right: Device, log: int, start: float
    ) -> None:
        some = [self.stretch(left, log, start, 1), self.stretch(right, IDENTITY, 0, start)]
        self.give(
            Batch(
                runs=[without_bodies(run_of(blocks)) for blocks in some],
                bodies=[LateBody(*b.header[:3], b.body or b"") for b in some[1]],
                revocations=[revoke(left.number, 9)],
            )
        )

    @rule()
    def the_store_is_opened_again(self) -> None:
        self.runner.run(self.sqlite.close())
        self.sqlite = self.runner.run(open_sqlite(Path(self.folder, "store.db")))
        self.model = self.model.copy()

    @rule()
    def all_is_checked(self) -> None:
        for store in self.stores:
            assert self.runner.run(store.check()) == []

    @invariant()
    def both_stores_say_the_same(self) -> None:
        model, other = (self.runner.run(everything(store)) for store in self.stores)
        assert other == model
        assert [a.lsn for a in model.arrivals] == list(range(len(model.arrivals), 0, -1))
        begun = [self.runner.run(store.runs()) for store in self.stores]
        assert [run[1:] for run in begun[0]] == [run[1:] for run in begun[1]]
        for log in model.logs:
            entries = model.entries.get((log.author, log.number), [])
            joined = [entry.block.header.seq for entry in entries if entry.joined]
            assert joined == list(range(1, log.head + 1))
            held = [e.block for e in entries if log.fork is None or e.block.header.seq < log.fork]
            assert sum(block.body is None for block in held) == log.bodies_missing

    @override
    def teardown(self) -> None:
        self.all_is_checked()
        self.runner.run(self.sqlite.close())
        self.runner.close()
        shutil.rmtree(self.folder)


TestLibrary = Library.TestCase
TestLibrary.settings = settings(stateful_step_count=25)
