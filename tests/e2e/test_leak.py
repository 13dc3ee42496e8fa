"""Nothing secret on disk in the clear, nothing secret in a log; what is erased stays erased.

The run's own secrets are taken from the keepers (a development network shows them on ops.sock), a keeper is
killed in mid-session, and every file below the localnet's folder is searched in every form a secret might have.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import pytest

from authnet_core.errors import AuthnetError
from authnet_core.protocol.views import SessionView
from p2p_dkg.keystore.sealing import Box
from p2p_dkg.keystore.sessions import BRIEF
from tests.e2e.doors import Ask, PublicDoor, SessionKey, bound_token, commit_at, open_key
from tests.e2e.keeper_files import copy_living, opened_copy
from tests.e2e.key_checks import session, start_session, wait_idle, wait_ready
from tests.e2e.net import Net, wait_for
from tests.e2e.secrets_of_run import MIN_SECRET, Finder, hex_strings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def secrets_of(net: Net, j: int) -> set[bytes]:
    """Everything node j's keeper holds right now, cut to the scalars, seeds and keys it is made of."""
    found = {bytes.fromhex(text) for text in hex_strings(net.ops(j, "dev_secrets", timeout=120))}
    pieces = set()
    for value in found:
        pieces.add(value[:64])
        pieces |= {value[at : at + 32] for at in range(0, len(value) - 31, 32)}
    passphrase = (net.node(j).path / "passphrase").read_bytes().strip()
    return {p for p in pieces if len(p) >= MIN_SECRET and len(set(p)) > 4} | {passphrase}


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def allowed(path: Path) -> bool:
    """The passphrase file holds the passphrase, and nothing else may."""
    return path.name == "passphrase"


def test_no_secret_is_in_any_file(small: Net) -> None:
    wait_idle(small)
    door, user = PublicDoor(small), f"leak-{secrets.token_hex(4)}@example.com"
    key = SessionKey.fresh()
    token = small.token("mock-google", user)
    papers = commit_at(door, small.indexes, token, key, "mock-google")
    ask = Ask("mock-google", user, token, papers)
    private = open_key(door, ask, key)
    bound_key = SessionKey.fresh()
    bound = bound_token(small, user, bound_key)
    assert open_key(door, Ask("mock-google", user, bound, key=bound_key), bound_key) == private

    begun = start_session(small)
    wait_for("a deal", 20, lambda: session(small, 1, begun.sid).deals, every=0.01)
    known = secrets_of(small, 1) | secrets_of(small, 2)
    os.kill(small.pid(1, "p2p_dkg"), 9)
    wait_for("final", 60, lambda: _final(small, begun.sid))
    known |= secrets_of(small, 3)
    known |= {private.to_bytes(32, "big"), key.secret, bound_key.secret, token.encode(), bound.encode()}
    assert len(known) > 100, "the keepers showed too few secrets for the search to mean anything"

    finder = Finder(known)
    searched = 0
    for path in files_below(small.dir):
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # its owner works on
            continue
        searched += len(content)
        hits = finder.search(content)
        assert allowed(path) or not hits, f"{path.relative_to(small.dir)} holds a secret ({len(hits)} places)"
    assert searched > 100_000


def _final(net: Net, sid: str) -> SessionView | None:
    view = session(net, 2, sid)
    return view if view.phase == "final" else None


def test_the_search_finds_what_is_planted(tmp_path: Path) -> None:
    """Every form, at every alignment: the test of the test."""
    secret = secrets.token_bytes(32)
    finder = Finder({secret})
    import base64

    planted = [
        b"x" + secret + b"y",
        b"log " + secret.hex().encode(),
        secret.hex().upper().encode(),
        str(int.from_bytes(secret, "big")).encode() + b",",
        *(base64.b64encode(b"z" * skip + secret + b"tail") for skip in range(6)),
        *(base64.urlsafe_b64encode(b"z" * skip + secret) for skip in range(6)),
    ]
    for content in planted:
        assert finder.search(content), content
    assert not finder.search(secrets.token_bytes(5000))


def test_what_is_erased_does_not_open_again(small: Net, tmp_path: Path) -> None:
    """Copy a session's ciphertexts before they are erased; then put them back beside everything that is left."""
    wait_idle(small)
    begun = start_session(small)
    folder = small.node(2).path / "keeper" / "sessions" / begun.sid
    copied = tmp_path / "copied"

    def copy_brief() -> bool:
        copied.mkdir(exist_ok=True)
        for path in folder.glob(f"{BRIEF}.*"):
            if path.name != f"{BRIEF}.key" and not path.name.endswith(".tmp"):
                shutil.copy(path, copied / path.name)
        return (copied / f"{BRIEF}.deal").exists()

    wait_for("the deal on disk", 20, copy_brief, every=0.01)
    with opened_copy(small, 2) as alive:
        assert alive.session(bytes.fromhex(begun.sid)).get(BRIEF, "deal"), "the copy is of something that opens"
    wait_for("final", 60, lambda: _final(small, begun.sid))
    wait_for("the short-lived group to be erased", 60, lambda: not (folder / f"{BRIEF}.key").exists())

    left = tmp_path / "left"
    copy_living(small.node(2).path / "keeper", left)
    target = left / "sessions" / begun.sid
    target.mkdir(mode=0o700, exist_ok=True)
    for path in copied.iterdir():
        shutil.copy(path, target / path.name)
    with opened_copy(small, 2, left) as store:
        assert store.session(bytes.fromhex(begun.sid)).get(BRIEF, "deal") is None
        # No key that is left anywhere opens it either.
        sealed = (copied / f"{BRIEF}.deal").read_bytes()
        name = f"sessions/{begun.sid}/{BRIEF}.deal"
        keys = {value[at : at + 32] for value in store.reveal() for at in range(0, len(value) - 31, 32)}
        assert len(keys) > 10
        for key in keys:
            with pytest.raises(AuthnetError):
                Box(key, small.first.chain_id).open(name, sealed)


def test_wrong_file_modes_stop_a_keeper_by_name(small: Net) -> None:
    wait_idle(small)
    j = small.n
    small.kill_node(j)
    passphrase = small.node(j).path / "passphrase"
    passphrase.chmod(0o644)
    try:
        small.start_node(j)
        logs = small.node(j).path / "logs"
        wait_for(
            "the refusal in the keeper's log",
            20,
            lambda: any(b"FILE_MODE" in path.read_bytes() for path in logs.glob("p2p_dkg*")),
        )
    finally:
        passphrase.chmod(0o600)
        small.kill_node(j)
        small.start_node(j)
    wait_ready(small)
