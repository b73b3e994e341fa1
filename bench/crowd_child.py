"""Many devices in one process, each linked with the node on PORT for as long as it takes.

    python -m bench.crowd_child PORT LINK COUNT

``LINK`` is the node's; the devices are the first of ``friend``. A line on standard input,
``seconds ping_every``, asks for what came and went in so many seconds, and for pings meanwhile, 0
for none.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from hashlib import sha256
from typing import TYPE_CHECKING

from gossip.policy import Peer, Policy
from ledger.keys import DeviceKeys, PersonKey
from ledger.link import Link
from ledger.store.memory import MemoryStore
from mesh.acquaintances import pair_key
from mesh.holdings import Holdings
from mesh.meeting import Meeting
from transports.secure import Credentials, secure
from transports.tickets import MemoryTickets
from transports.wifi.tcp import dial

if TYPE_CHECKING:
    from transports.secure import SecureLink


def friend(number: int) -> tuple[DeviceKeys, Link]:
    """Return the keys of the device of a made-up person, and its link."""
    seed = sha256(f"friend {number}".encode()).digest()
    person, keys = PersonKey(seed), DeviceKeys.from_random(seed + sha256(seed).digest())
    certificate = person.certify(keys.public)
    return keys, Link(person.signing.public, keys.public, keys.sealing_public, certificate)


async def join(port: int, hub: Link, number: int) -> tuple[Meeting, SecureLink]:
    """Link one device with the hub."""
    keys, link = friend(number)
    secret = pair_key(keys.sealing_secret, hub.sealing)
    assert secret is not None
    who = Credentials(link.device, {hub.device: secret}, MemoryTickets(time.monotonic))
    tcp = await dial("127.0.0.1", port)
    session = await secure(tcp, is_initiator=True, who=who, random=os.urandom)
    assert session.peer == hub.device
    store = MemoryStore(new_run=lambda: os.urandom(8))
    policy = Policy(link.device, link.person, public=False, live=True)
    holdings = await Holdings.open(store, policy)
    meeting = Meeting(
        session,
        holdings,
        holdings,
        clock=lambda: time.time_ns() // 1_000_000,
        binding=session.binding,
        is_initiator=True,
        secret=os.urandom(32),
        peer=Peer(hub.device, hub.person),
    )
    return meeting, session


def _count(all_of_them: list[tuple[Meeting, SecureLink]]) -> dict[str, int]:
    counts = [meeting.session.counts for meeting, _ in all_of_them]
    return {
        "frames": sum(one.frames_in + one.frames_out for one in counts),
        "bytes": sum(link.bytes_in + link.bytes_out for _, link in all_of_them),
    }


async def _watch(
    all_of_them: list[tuple[Meeting, SecureLink]], seconds: float, ping_every: float
) -> dict[str, object]:
    before, pings, end = _count(all_of_them), list[float](), time.perf_counter() + seconds
    while (now := time.perf_counter()) < end:
        if ping_every:
            pings.append(await all_of_them[0][1].ping())
        await asyncio.sleep(min(ping_every or seconds, max(0.0, end - now)))
    after = _count(all_of_them)
    alive = sum(meeting.session.state.name == "LIVE" for meeting, _ in all_of_them)
    return {"pings": pings, "alive": alive} | {name: after[name] - before[name] for name in after}


async def _main(port: int, hub: Link, many: int) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    joined: list[tuple[Meeting, SecureLink]] = []
    async with asyncio.TaskGroup() as group:
        held = []
        for number in range(many):
            joined.append(await join(port, hub, number))
            held.append(group.create_task(joined[-1][0].hold()))
        await asyncio.gather(*(meeting.until_equal() for meeting, _ in joined))
        print(json.dumps({"joined": len(joined)}), flush=True)
        while line := await reader.readline():
            seconds, ping_every = map(float, line.split())
            print(json.dumps(await _watch(joined, seconds, ping_every)), flush=True)
        for task in held:
            task.cancel()


def main() -> int:
    """Do what the arguments say."""
    port, link, many = sys.argv[1:]
    asyncio.run(_main(int(port), Link.parse(link), int(many)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
