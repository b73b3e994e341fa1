"""Secure links over TCP keep what links promise."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override

from tests.transports.secure_pairs import Device, met
from tests.transports.tcp_ends import joined
from tests.transports.test_tcp_link import OverLoopback
from transports.base import Link


class TestSecureOverTcp(OverLoopback):
    holds = 8 * 1024 * 1024 + 16 * 1024
    host = "127.0.0.1"

    @override
    @asynccontextmanager
    async def pair(self) -> AsyncIterator[tuple[Link, Link]]:
        async with joined(self.host) as ends:
            near, far = await met(Device("ada"), Device("ben"), ends)
            yield near, far
            await near.close()
            await far.close()
