"""Where blocks are kept: the Protocol, in memory, and in SQLite."""
