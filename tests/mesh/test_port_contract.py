"""The contract of ``mesh.port``, for each who says to keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh.direct import open_port
from tests.mesh.port_contract import PortContract, Town

if TYPE_CHECKING:
    from pathlib import Path

IMPLEMENTATIONS = [pytest.param(open_port, id="direct")]


class TestNodePort(PortContract):
    """All that ``PortContract`` asks for."""

    @pytest.fixture(params=IMPLEMENTATIONS)
    def town(self, request: pytest.FixtureRequest, tmp_path: Path) -> Town:
        """Give an empty town whose homes are opened by one implementation."""
        return Town(tmp_path, request.param)
