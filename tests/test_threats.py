"""Every test that docs/threats.md names is there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "threats.md"
NAMED = re.compile(r"`([a-z_/0-9]+\.py)(?:::(\w+))?`")


def functions(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(DOCUMENT.read_text("utf-8").replace("`tests/test_threats.py`", ""))
    assert len(named) > 30
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (TESTS / file).is_file() or (name and name not in functions(TESTS / file))
    ]
    assert missing == []
