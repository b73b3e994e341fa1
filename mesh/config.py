"""Settings of a home, from its ``config.toml``. Every setting has a default; none is needed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ledger.errors import PassalongError

if TYPE_CHECKING:
    from pathlib import Path


class ConfigError(PassalongError):
    """``config.toml`` says something that passalong does not understand."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a person may set.

    Attributes:
        lock_wait_s: How long a command waits for another one on the same home, seconds, 0 .. 3600.
        feed_limit: How many posts ``feed`` shows unless told, 1 .. 1,000,000.
        room_mb: How much is kept of what others wrote, and of one's own, 1 .. 1,000,000 MiB.
        port: TCP port that ``run`` listens on, 0 for any that is free, 0 .. 65,535.
        visible: Whether everybody one meets sees which device this is.
        connect: Addresses, ``HOST:PORT``, that ``run`` keeps in touch with; at most 64.
    """

    lock_wait_s: int = 5
    feed_limit: int = 50
    room_mb: int = 512
    port: int = 0
    visible: bool = False
    connect: tuple[str, ...] = ()


_RANGES = {
    "lock_wait_s": (0, 3_600),
    "feed_limit": (1, 1_000_000),
    "room_mb": (1, 1_000_000),
    "port": (0, 65_535),
}
_SWITCHES = ("visible",)
_LISTS = {"connect": 64}


def load_config(path: Path) -> Config:
    """Read the settings at ``path``; a file that is not there means the defaults.

    Raises:
        ConfigError: Not TOML, an unknown setting, or a value out of range.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read; check or remove it") from exc
    try:
        said = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path} is not TOML: {exc}") from exc
    return Config(**{name: _checked(path, name, value) for name, value in said.items()})


def _checked(path: Path, name: str, value: object) -> Any:  # noqa: ANN401  one type a setting
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise ConfigError(f"{path}: {name} is true or false")
        return value
    if name in _LISTS:
        return _listed(path, name, value)
    if name not in _RANGES:
        known = ", ".join(field.name for field in fields(Config))
        raise ConfigError(f"{path}: {name!r} is no setting; known are {known}")
    low, high = _RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{path}: {name} is a whole number from {low} to {high}")
    return value


def _listed(path: Path, name: str, value: object) -> tuple[str, ...]:
    most = _LISTS[name]
    if not isinstance(value, list) or len(value) > most:
        raise ConfigError(f"{path}: {name} is a list of at most {most} texts")
    if not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{path}: {name} is a list of texts")
    return tuple(value)
