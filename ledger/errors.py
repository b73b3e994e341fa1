"""What can be wrong, by what the caller should do next.

A message is one line that a person can act on; the command line prints it as it is.
"""

from __future__ import annotations


class PassalongError(Exception):
    """Something was refused or failed; the message says what to do."""


class InvalidError(PassalongError):
    """The bytes contradict the format or themselves: never store, never relay, count the sender."""


class MeaninglessError(PassalongError):
    """A body is not what its kind asks for: the block stays valid, it just means nothing."""


class StoreError(PassalongError):
    """The store cannot do its work (full, read-only, broken, of a newer version)."""
