"""What a long run tells, while it runs and at its end."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TypeAlias

Facts: TypeAlias = "dict[str, float | str]"


@dataclass(slots=True)
class Report:
    """What happened, section by section."""

    sections: dict[str, Facts] = field(default_factory=dict)

    def tell(self, section: str, **facts: float | str) -> None:
        """Add facts, and say on standard error how far it is."""
        if section not in self.sections:
            print(f"done: {section}", file=sys.stderr, flush=True)
        self.sections.setdefault(section, {}).update(facts)

    def show(self) -> None:
        """Print it for a person."""
        for section, facts in self.sections.items():
            print(section)
            for name, value in facts.items():
                print(f"  {name.replace('_', ' '):34} {_spelled(value):>14}")


def _spelled(value: float | str) -> str:
    match value:
        case bool():
            return "yes" if value else "NO"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"
        case _:
            return value
