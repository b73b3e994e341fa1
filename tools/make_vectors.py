"""Write the vectors that docs/protocol.md lists, from the code: ``python -m tools.make_vectors``.

What comes out is always the same. An argument names another folder to write to.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mnemonic import Mnemonic

from tests.vectors.body_vectors import bodies
from tests.vectors.bundle_vectors import bundles
from tests.vectors.codec_vectors import codec, headers
from tests.vectors.control_vectors import controls
from tests.vectors.evidence_vectors import forks, statements
from tests.vectors.gossip_vectors import frontiers, messages
from tests.vectors.key_vectors import keys, links
from tests.vectors.mail_vectors import mails
from tests.vectors.pair_vectors import pairs
from tests.vectors.run_vectors import runs
from tests.vectors.sealed_files import sealed
from tests.vectors.standing_vectors import standings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.vectors.collection import Collection

FOLDER = Path(__file__).parent.parent / "tests" / "vectors"
FILES: dict[str, Callable[[], Collection]] = {
    "codec.json": codec,
    "keys.json": keys,
    "link.json": links,
    "header.json": headers,
    "run.json": runs,
    "fork.json": forks,
    "statement.json": statements,
    "body.json": bodies,
    "pairs.json": pairs,
    "frontier.json": frontiers,
    "wire.json": messages,
    "control.json": controls,
    "standing.json": standings,
    "mail.json": mails,
    "bundle.json": bundles,
    "sealed.json": sealed,
}


def main(folder: Path) -> None:
    """Write all files into ``folder``."""
    words = "\n".join(Mnemonic("english").wordlist) + "\n"
    (folder / "words.txt").write_text(words, encoding="ascii", newline="\n")
    for name, make in FILES.items():
        vectors = make()
        (folder / name).write_text(vectors.render(), encoding="ascii", newline="\n")
        print(f"{name}: {len(vectors.good_ones)} good, {len(vectors.bad_ones)} bad")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
