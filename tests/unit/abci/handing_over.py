"""Two applications for the tests of a state that is handed over: who has it, and who takes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from abci_app.abci.application import Application
from abci_app.snapshots import chunks
from abci_app.snapshots.coverage import LOCAL
from abci_app.snapshots.restore import Answer, Applied, Offer, Offered
from abci_app.snapshots.shelf import Shelf
from abci_app.state import tables
from tests.unit.abci.world import World, account


def lived(world: World) -> World:
    """Keys in more than one chunk, some assigned, one session under way, votes open, transactions remembered."""
    world.fill_pool()
    for number in range(12):
        assert world.send(world.assign(1 + number % 5, account(number))) == [None]
    world.announce(first=8)
    return world


def everything(app: Application) -> dict[bytes, bytes]:
    """All entries that every node has alike, and the tree's nodes."""
    same = [letter for letter in LOCAL if letter != tables.NODES]
    held = app.store.hold()
    found = {key: value for key, value in held.between(b"\x00", b"\xff") if key[:1] not in same}
    held.close()
    return found


@contextmanager
def shelf_of(app: Application) -> Iterator[Shelf]:
    """The newest state of `app`, ready to be had."""
    shelf = Shelf(app.store, 1_000)
    shelf.take()
    shelf.wait()
    yield shelf
    shelf.close()


def hand_over(shelf: Shelf, to: Application, app_hash: bytes) -> Answer:
    """All chunks in turn; the last answer."""
    offer = shelf.offers()[0]
    assert to.offer_snapshot(offer, app_hash) is Offered.ACCEPT
    answer = Answer(Applied.ACCEPT)
    for index in range(offer.chunks):
        answer = to.apply_snapshot_chunk(index, shelf.chunk(offer.height, index), "peer")
        if answer.verdict is not Applied.ACCEPT:
            break
    return answer


def entries_of(app: Application) -> dict[bytes, bytes]:
    held = app.store.hold()
    found = dict(chunks.entries(held))
    held.close()
    return found


class Forged:
    """A shelf whose chunks a liar made: described well, but not what the chain has."""

    def __init__(self, height: int, made: list[bytes]) -> None:
        named = b"".join(chunks.chunk_hash(chunk) for chunk in made)
        self._made = made
        self._offer = Offer(height, chunks.FORMAT, len(made), chunks.snapshot_hash(height, named), named)

    def offers(self) -> list[Offer]:
        return [self._offer]

    def chunk(self, height: int, index: int) -> bytes:
        return self._made[index]
