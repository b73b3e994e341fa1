import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import InvalidError, MeaninglessError
from tests.vectors.read_gossip import read_bundle
from tests.vectors.read_sealed import read_sealed_bundle
from tests.vectors.reading import READERS, read
from tests.vectors.showing import hexed

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "tests" / "vectors"
FILES = sorted(FOLDER.glob("*.json"))
REFUSALS = {"body.json": MeaninglessError}
"""A body that is wrong only means nothing; everything else that is wrong is refused."""


def vectors(file: Path, quality: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text("ascii"))[quality]
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_python_reads_every_good_vector_as_written_down(file: Path) -> None:
    for vector in vectors(file, "good"):
        assert read(vector["of"], vector["in"]) == vector["out"], vector["name"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_python_refuses_every_bad_vector_with_the_one_error(file: Path) -> None:
    for vector in vectors(file, "bad"):
        try:
            out = read(vector["of"], vector["in"])
        except REFUSALS.get(file.name, InvalidError):
            continue
        pytest.fail(f"{vector['of']}, {vector['why']}: read as {out}")


def test_a_bundle_reads_the_same_in_pieces_of_any_size() -> None:
    for vector in vectors(FOLDER / "bundle.json", "good"):
        for piece in (1, 7, 500):
            assert read_bundle(vector["in"], piece) == vector["out"], (vector["name"], piece)


def test_a_sealed_bundle_reads_the_same_in_pieces_of_any_size() -> None:
    found = [v for v in vectors(FOLDER / "sealed.json", "good") if v["of"] == "sealed bundle"]
    assert found
    for vector in found:
        for piece in (1, 7, 500):
            assert read_sealed_bundle(vector["in"], piece) == vector["out"], (vector["name"], piece)


def test_a_bundle_cut_at_any_byte_gives_every_whole_frame_before_the_cut() -> None:
    # given a whole bundle
    whole = next(v for v in vectors(FOLDER / "bundle.json", "good") if v["out"]["trailer"])
    raw, messages = hexed(whole["in"]["raw"]), whole["out"]["messages"]
    ends = _ends_of_frames(raw)
    for cut in range(len(raw)):
        # when it is cut
        given = {"raw": raw[:cut].hex()}
        # then the frames that end before the cut are there, without a header nothing is
        if cut < ends[0]:
            with pytest.raises(InvalidError):
                read_bundle(given)
            continue
        out = read_bundle(given)
        count = sum(end <= cut for end in ends[1:-1])
        assert (out["messages"], out["ending"]) == (messages[:count], "cut")


def test_a_message_cut_at_any_byte_is_refused() -> None:
    for vector in vectors(FOLDER / "wire.json", "good"):
        raw = vector["in"]["raw"]
        for cut in range(0, min(len(raw), 4_000), 2):
            with pytest.raises(InvalidError):
                read("message", {"raw": raw[:cut]})


def _ends_of_frames(raw: bytes) -> list[int]:
    at, ends = 8, []
    while at < len(raw):
        at += 12 + int.from_bytes(raw[at : at + 4], "big")
        ends.append(at)
    return ends


def test_every_format_has_good_and_bad_vectors() -> None:
    good = {vector["of"] for file in FILES for vector in vectors(file, "good")}
    bad = {vector["of"] for file in FILES for vector in vectors(file, "bad")}
    # a rule that chooses among valid things has nothing to refuse
    rules = {"hkdf", "kept proof", "branches", "kept statements", "pairs", "half-block"}
    rules |= {"gaps", "standing", "scope", "keyed"}
    assert good == set(READERS)
    assert bad == set(READERS) - rules


def test_the_specification_lists_every_file_of_vectors_with_its_numbers() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text("utf-8")
    for file in FILES:
        good, bad = len(vectors(file, "good")), len(vectors(file, "bad"))
        assert f"| `{file.name}` | {good} | {bad} |" in text


def test_the_specification_quotes_the_worked_examples_byte_for_byte() -> None:
    digits = "".join((ROOT / "docs" / "protocol.md").read_text("utf-8").split())
    examples = [
        ("header.json", "an ordinary one"),
        ("bundle.json", "one block"),
        ("control.json", "HELLO, to a contact"),
        ("control.json", "NEW, a page of three logs"),
        ("mail.json", "ENVELOPES"),
        ("mail.json", "OFFERS, a page"),
    ]
    for file, name in examples:
        example = next(v for v in vectors(FOLDER / file, "good") if v["name"] == name)
        assert example["in"]["raw"] in digits


def test_the_vectors_are_what_the_code_makes_today(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "tools.make_vectors", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(path.name for path in (*FILES, FOLDER / "words.txt"))
    for name in names:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_a_second_decoder_in_another_language_agrees_on_every_vector() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; the second decoder needs it (make system)")
    checked = subprocess.run(
        [node, str(ROOT / "tests" / "js" / "check.mjs")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(checked.stdout.splitlines()) == len(FILES)
