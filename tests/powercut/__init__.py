"""Simulated power cuts for SQLite: a VFS that loses what was not synced, for tests only."""

from tests.powercut.vfs import Counters, Mode, PowerCut, unavailable

__all__ = ["Counters", "Mode", "PowerCut", "unavailable"]
