"""The contract of ``mesh.port``, for each who says to keep it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from mesh.direct import DirectPort, open_port
from mesh.node import open_node
from mesh.opening import open_port as open_through_the_socket
from mesh.rpc import SocketPort
from mesh.rpc_server import serve_port
from tests.mesh.port_contract import PortContract, Town

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mesh.node import Surroundings
    from mesh.port import NodePort


@asynccontextmanager
async def open_socket(folder: Path, around: Surroundings) -> AsyncIterator[NodePort]:
    """Give the port of a node that runs on ``folder``, over its socket."""
    async with (
        open_node(folder, around) as node,
        serve_port(DirectPort(node), folder, around),
        open_through_the_socket(folder, around) as port,
    ):
        assert isinstance(port, SocketPort)
        yield port


IMPLEMENTATIONS = [pytest.param(open_port, id="direct"), pytest.param(open_socket, id="socket")]


class TestNodePort(PortContract):
    """All that ``PortContract`` asks for."""

    @pytest.fixture(params=IMPLEMENTATIONS)
    def town(self, request: pytest.FixtureRequest, tmp_path: Path) -> Town:
        """Give an empty town whose homes are opened by one implementation."""
        return Town(tmp_path, request.param)
