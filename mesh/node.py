"""A node: a home that is open, its store, its writer, and what it knows of people."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gossip.policy import Quota
from ledger.block import SALT_BYTES
from ledger.codec import decode, encode
from ledger.errors import InvalidError, StoreError
from ledger.keys import DeviceKeys, PersonKey, SigningKey
from ledger.kinds import device as device_kind
from ledger.kinds import profile as profile_kind
from ledger.link import Link
from ledger.store.base import ROLLED_BACK, Batch
from ledger.store.sqlite import SqliteStore
from ledger.views.people import Census
from mesh.config import Config, load_config
from mesh.home import HomeError, explain, locked, make_folder
from mesh.paths import CONFIG, STORE
from mesh.writer import Draft, Heads, Writer, runs_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from ledger.store.base import Store
    from ledger.views.people import People

SOCIAL_LOG: Final = 1
_DEVICE: Final = "device keys"
_WORDS: Final = "words to show"
_SECRETS_BYTES: Final = 1_024


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a node takes from the world.

    Attributes:
        now: Gives ms since 1970; it may jump by years.
        random: Gives so many random bytes.
        steady: Gives seconds that never go back and pass while the machine sleeps, from any moment.
    """

    now: Callable[[], int]
    random: Callable[[int], bytes]
    steady: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a home keeps for its device.

    It stands in the store itself: a key whose logs are gone must not be used again, so the two
    live and die together.

    Attributes:
        keys: The device's.
        person: Whose device it is.
        certificate: The person's signature over the device.
    """

    keys: DeviceKeys
    person: bytes
    certificate: bytes

    def encode(self) -> bytes:
        """Return the bytes that are kept."""
        keys = self.keys
        return encode((1, keys.signing.seed, keys.sealing_secret, self.person, self.certificate))

    @classmethod
    def decode(cls, raw: bytes) -> Secrets:
        """Read what ``encode`` wrote.

        Raises:
            StoreError: It means nothing.
        """
        with suppress(InvalidError):
            match decode(raw, _SECRETS_BYTES):
                case [1, bytes(seed), bytes(sealing), bytes(person), bytes(certificate)]:
                    return cls(DeviceKeys(SigningKey(seed), sealing), person, certificate)
                case _:
                    pass
        raise StoreError("the home's keys are damaged; `passalong restore` into a new home")

    @property
    def link(self) -> Link:
        """What others add this device by."""
        return Link(self.person, self.keys.public, self.keys.sealing_public, self.certificate)


def _is_home(folder: Path) -> bool:
    try:
        return (folder / STORE).exists()
    except OSError as exc:
        raise explain(exc, folder) from exc


@asynccontextmanager
async def open_store(
    folder: Path,
    config: Config,
    around: Surroundings,
    is_running: Callable[[], Awaitable[bool]] | None = None,
) -> AsyncIterator[SqliteStore]:
    """Hold the lock of the home ``folder`` and open its store; see ``locked``."""
    async with locked(folder, config.lock_wait_s, is_running):
        store = await SqliteStore.open(folder / STORE, new_run=lambda: around.random(8))
        try:
            yield store
        finally:
            await store.close()


async def found(
    folder: Path, person: PersonKey, name: str | None, around: Surroundings, *, show_words: bool
) -> Secrets:
    """Make ``folder`` the home of a new device of ``person``, in one transaction.

    Args:
        folder: A new or empty folder, or a home that was rolled back.
        person: Signs the device's certificate, and is forgotten.
        name: What the person wants to be called.
        around: Clock and randomness.
        show_words: Keep the words until ``forget_words`` says that they were shown.

    Raises:
        HomeError: There is a home that is in order, or another person's.
    """
    profile = None if name is None else profile_kind.Profile(around.now(), name)
    make_folder(folder)
    config = load_config(folder / CONFIG)
    async with open_store(folder, config, around) as store:
        kept = await store.note(_DEVICE)
        if kept is not None:
            if show_words or await store.note(ROLLED_BACK) is None:
                raise HomeError(f"there is a home in {folder}; use it, or name another with --home")
            if Secrets.decode(kept).person != person.signing.public:
                raise HomeError(f"{folder} is another person's home; check the words, or --home")
        keys = DeviceKeys.from_random(around.random(64))
        secrets = Secrets(keys, person.signing.public, person.certify(keys.public))
        device = device_kind.Device(
            around.now(), keys.sealing_public, secrets.person, secrets.certificate
        )
        drafts = [Draft(0, device_kind.KIND, device.encode(around.random(SALT_BYTES)))]
        if profile is not None:
            body = profile.encode(around.random(SALT_BYTES))
            drafts.append(Draft(SOCIAL_LOG, profile_kind.KIND, body))
        heads = Heads(keys.signing)
        notes = {
            _DEVICE: secrets.encode(),
            _WORDS: person.entropy if show_words else None,
            ROLLED_BACK: None,
        }
        runs = runs_of([heads.extend(draft) for draft in drafts])
        await store.absorb(Batch(runs=runs, notes=notes), seen=around.now(), durable=True)
        return secrets


async def unshown(folder: Path, around: Surroundings) -> tuple[Secrets, PersonKey] | None:
    """Return keys and words of a home whose words were not shown yet."""
    if not _is_home(folder):
        return None
    async with open_store(folder, load_config(folder / CONFIG), around) as store:
        device, words = await store.note(_DEVICE), await store.note(_WORDS)
        if device is None or words is None:
            return None
        return Secrets.decode(device), PersonKey(words)


async def forget_words(folder: Path, around: Surroundings) -> None:
    """The words were shown: forget them.

    Raises:
        HomeError: There is no home.
    """
    if not _is_home(folder):
        raise HomeError(f"there is no home in {folder}; make one with `passalong init`")
    async with open_store(folder, load_config(folder / CONFIG), around) as store:
        await store.set_note(_WORDS, None)


class Node:
    """An open home.

    Attributes:
        store: Everything it holds.
        me: Its device, and whose it is.
        secrets: What the device keeps for itself.
        writer: Writes its device's logs.
        around: Clocks and randomness.
        quota: How much it keeps.
    """

    def __init__(
        self, store: Store, secrets: Secrets, writer: Writer, around: Surroundings, quota: Quota
    ) -> None:
        self.quota = quota
        self.store = store
        self.me = secrets.link
        self.secrets = secrets
        self.writer = writer
        self.around = around

    async def people(self) -> People:
        """Return who is who, as of now."""
        logs = await self.store.logs()
        forks = {(log.author, log.number): log.fork for log in logs if log.fork is not None}
        census = Census(forks, await self.store.revocations())
        async for page in self.store.entries():
            census.add(page)
        return census.people()


@asynccontextmanager
async def open_node(
    folder: Path,
    around: Surroundings,
    is_running: Callable[[], Awaitable[bool]] | None = None,
) -> AsyncIterator[Node]:
    """Open the home in ``folder``.

    Args:
        folder: The home.
        around: Clocks and randomness.
        is_running: Says whether a node answers there, once the home is found taken.

    Raises:
        NodeRunsError: One does.
        HomeError: There is none, or another process keeps it.
        StoreError: Its store cannot be used.
    """
    if not _is_home(folder):
        raise HomeError(f"there is no home in {folder}; make one with `passalong init`")
    config = load_config(folder / CONFIG)
    async with open_store(folder, config, around, is_running) as store:
        kept = await store.note(_DEVICE)
        if kept is None:
            raise HomeError(f"the home in {folder} was never finished; run `passalong init` again")
        secrets = Secrets.decode(kept)
        own = await store.logs([(secrets.keys.public, 0), (secrets.keys.public, SOCIAL_LOG)])
        writer = Writer(store, Heads.of(secrets.keys.signing, own), around.now)
        try:
            yield Node(store, secrets, writer, around, Quota(config.room_mb << 20))
        finally:
            await writer.close()
