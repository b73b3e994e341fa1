"""Where things are: the home folder, and what stands in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from platformdirs import user_data_path

STORE: Final = "store.db"
LOCK: Final = "lock"
CONFIG: Final = "config.toml"
VAULT: Final = "vault"
CONTROL_SOCKET: Final = "control.sock"
CONTROL_KEY: Final = "control.key"
HOME_VARIABLE: Final = "PASSALONG_HOME"


def default_home() -> Path:
    """Return ``$PASSALONG_HOME``, or the platform's folder for a user's data."""
    given = os.environ.get(HOME_VARIABLE)
    return Path(given) if given else user_data_path("passalong", appauthor=False)


def runtime_folder() -> Path | None:
    """Return ``$XDG_RUNTIME_DIR``, which lasts as long as a login; None where there is none."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    return Path(given) if given and Path(given).is_absolute() else None
