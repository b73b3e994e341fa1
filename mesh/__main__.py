"""The command ``passalong``, also as ``python -m mesh``."""

from __future__ import annotations

import sys


def main() -> int:
    """Do what the arguments ask for; return the exit status."""
    try:
        from mesh.cli.entry import main as command_line  # noqa: PLC0415

        return command_line()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted; run it again\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
