"""Settings: defaults for all of them, and a clear word on each that is not understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh.config import Config, ConfigError, load_config

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give where the settings stand."""
    return tmp_path / "config.toml"


def test_without_a_file_everything_has_a_default(path: Path) -> None:
    assert load_config(path) == Config(lock_wait_s=5, feed_limit=50)


@pytest.mark.parametrize("text", ["", "# nothing\n", "\r\n"])
def test_a_file_that_sets_nothing_changes_nothing(path: Path, text: str) -> None:
    path.write_text(text)
    assert load_config(path) == Config()


def test_what_is_set_is_taken_and_the_rest_keeps_its_default(path: Path) -> None:
    path.write_text("lock_wait_s = 0\n")
    assert load_config(path) == Config(lock_wait_s=0)
    path.write_text("feed_limit = 7\nlock_wait_s = 60\n")
    assert load_config(path) == Config(60, 7)
    path.write_text('visible = true\nport = 7654\nconnect = ["a.example:1", "[::1]:2"]\n')
    asked = load_config(path)
    assert (asked.visible, asked.port, asked.connect) == (True, 7654, ("a.example:1", "[::1]:2"))


@pytest.mark.parametrize(
    "text",
    ["lock_wait_s = 0", "lock_wait_s = 3_600", "feed_limit = 1", "feed_limit = 1_000_000"],
)
def test_both_ends_of_a_range_belong_to_it(path: Path, text: str) -> None:
    path.write_text(text)
    load_config(path)


OUT_OF_RANGE = "is a whole number from"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("visible = 1", "visible is true or false"),
        ('visible = "yes"', "visible is true or false"),
        ("port = 65536", f"port {OUT_OF_RANGE} 0 to 65535"),
        ('connect = "a.example:1"', "connect is a list of at most 64 texts"),
        ("connect = [1]", "connect is a list of texts"),
        (f"connect = {['a:1'] * 65}", "connect is a list of at most 64 texts"),
        ("lock_wait_s = -1", f"lock_wait_s {OUT_OF_RANGE} 0 to 3600"),
        ("lock_wait_s = 3601", OUT_OF_RANGE),
        ("feed_limit = 0", f"feed_limit {OUT_OF_RANGE} 1 to 1000000"),
        ("feed_limit = 1000001", OUT_OF_RANGE),
        ("feed_limit = 99999999999999999999999", OUT_OF_RANGE),
        ("lock_wait_s = true", OUT_OF_RANGE),
        ("lock_wait_s = 1.0", OUT_OF_RANGE),
        ("lock_wait_s = inf", OUT_OF_RANGE),
        ('lock_wait_s = "5"', OUT_OF_RANGE),
        ("lock_wait_s = [5]", OUT_OF_RANGE),
        ("lock_wait_s = 2026-01-01", OUT_OF_RANGE),
        ("[lock_wait_s]", OUT_OF_RANGE),
        ("colour = 1", "'colour' is no setting; known are lock_wait_s, feed_limit"),
        ('"a\\nb\\u001b[2J" = 1', "is no setting"),
        ("[home]\nlock_wait_s = 1", "'home' is no setting"),
        ("lock_wait_s", "is not TOML"),
        ("lock_wait_s = 1\nlock_wait_s = 1", "is not TOML"),
        ("lock_wait_s = 2026-13-01", "is not TOML"),
        (f"lock_wait_s = {'1' * 5_000}", "is not TOML"),
        (f"lock_wait_s = {'[' * 5_000}", "is not TOML"),
    ],
)
def test_what_is_not_understood_is_refused_in_one_line(path: Path, text: str, why: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError, match=why) as refusal:
        load_config(path)
    assert str(refusal.value).startswith(str(path))
    assert str(refusal.value).isprintable()


def test_a_file_that_is_not_text_is_refused(path: Path) -> None:
    path.write_bytes(b"lock_wait_s = \xff")
    with pytest.raises(ConfigError, match="cannot be read; check or remove it"):
        load_config(path)


def test_a_folder_in_its_place_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read; check or remove it"):
        load_config(path)
