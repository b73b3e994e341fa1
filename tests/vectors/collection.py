"""A file of vectors in the making; no vector enters it that Python reads otherwise."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ledger.errors import InvalidError
from tests.vectors.reading import read


@dataclass
class Collection:
    """Good and bad vectors of one format.

    Attributes:
        about: What the file is for.
        refused: The error that a bad vector raises.
    """

    about: str
    refused: type[Exception] = InvalidError
    good_ones: list[dict[str, Any]] = field(default_factory=list)
    bad_ones: list[dict[str, Any]] = field(default_factory=list)

    def good(self, of: str, name: str, **fields: object) -> None:
        given = {key: _plain(value) for key, value in fields.items()}
        self.good_ones.append({"name": name, "of": of, "in": given, "out": read(of, given)})

    def bad(self, of: str, why: str, **fields: object) -> None:
        given = {key: _plain(value) for key, value in fields.items()}
        try:
            read(of, given)
        except self.refused:
            self.bad_ones.append({"why": why, "of": of, "in": given})
        else:
            raise AssertionError(f"{of}, {why}: not refused")

    def render(self) -> str:
        """Return the file's text: one vector a line, so that a change is easy to see."""
        parts = [f'{{"about": {json.dumps(self.about)}']
        for key, vectors in (("good", self.good_ones), ("bad", self.bad_ones)):
            lines = ",\n".join(json.dumps(vector) for vector in vectors)
            parts.append(f'"{key}": [\n{lines}\n]')
        return ",\n".join(parts) + "}\n"


def _plain(value: object) -> object:
    match value:
        case bytes():
            return value.hex()
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value
