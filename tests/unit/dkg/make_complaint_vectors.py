"""Writes tests/vectors/dkg_complaint.json: `python -m tests.unit.dkg.make_complaint_vectors`.

A changed value is another protocol."""

import json
from pathlib import Path
from typing import Any

from authnet_core.crypto.secp256k1 import pub
from authnet_core.protocol.dkg import complaint, strings
from authnet_core.protocol.dkg.deal import Dealing
from tests.sim.evil import evil_dealing
from tests.unit.dkg.setting import ek_secret, make_dealings, make_params, seed_of

PATH = Path(__file__).parents[2] / "vectors" / "dkg_complaint.json"
DEALER, COMPLAINER = 2, 3
ABOUT = """\
Complaints of receiver 3 about dealer 2 in the session of dkg_session.json (n=5, B=2), all bytes hex. D = ek*E. \
proof = c (32) || z (32); c = SHA256("authnet/dleq/v1/challenge" || 00 || context, EK, E, D, z*G - c*EK, z*E - c*D, \
each with 8 bytes of length in front) mod q; context = H("dleq", chain_id, 1, sid, dealer, complainer); \
deal_hash = H("deal", sid || E || pok || R || h || c || u). upheld: the dealer flipped a bit of share 0. false: the \
dealing is right. parts_hash and fallback_seed are over the listed bytes."""


def complaint_vector(dealing: Dealing) -> dict[str, Any]:
    params = make_params()
    made = complaint.make_complaint(params, COMPLAINER, dealing.deal, dealing.bundle, ek_secret(COMPLAINER))
    judgement = complaint.judge(params, dealing.deal, COMPLAINER, made)
    return {
        "E": dealing.deal.e.hex(),
        "pok": dealing.deal.pok.hex(),
        "R": dealing.deal.root.hex(),
        "h": dealing.deal.list_hash.hex(),
        "c": dealing.deal.nonce_hash.hex(),
        "u": [scalar.hex() for scalar in dealing.deal.u],
        "context": strings.complaint_context(params.chain_id, params.sid, DEALER, COMPLAINER).hex(),
        "D": made.shared.hex(),
        "proof": made.dleq.hex(),
        "ciphertext": made.ciphertext.hex(),
        "leaves": [leaf.hex() for leaf in made.leaves],
        "deal_hash": made.deal_hash.hex(),
        "convict": DEALER if judgement.convict_is_dealer else COMPLAINER,
        "reason": judgement.reason,
    }


def build() -> dict[str, Any]:
    params = make_params()
    parts = [pub(7), pub(8), pub(9)]
    hashes = [(1, bytes([1]) * 32), (3, bytes([3]) * 32), (4, bytes([4]) * 32), (5, bytes([5]) * 32)]
    return {
        "about": ABOUT,
        "chain_id": params.chain_id,
        "sid": params.sid.hex(),
        "dealer": DEALER,
        "complainer": COMPLAINER,
        "EK": params.eks[COMPLAINER - 1].hex(),
        "upheld": complaint_vector(evil_dealing(params, DEALER, seed_of(DEALER), "one bad share")),
        "false": complaint_vector(make_dealings(params)[DEALER]),
        "parts": [point.hex() for point in parts],
        "parts_hash": strings.parts_hash(params.sid, DEALER, COMPLAINER, b"".join(parts)).hex(),
        "list_hashes": [[member, digest.hex()] for member, digest in hashes],
        "fallback_seed": strings.fallback_seed(params.sid, DEALER, hashes).hex(),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(build(), indent=1) + "\n")
