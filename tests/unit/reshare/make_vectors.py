"""Writes tests/vectors/reshare_v1.json: `python -m tests.unit.reshare.make_vectors`.

Changing it is changing the protocol: nodes of two versions would not agree.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from authnet_core.protocol.reshare import choose, strings, sums
from authnet_core.protocol.reshare.check import open_own
from authnet_core.protocol.reshare.complaint import make_complaint
from authnet_core.protocol.reshare.deal import dealer_key, gamma_weights
from tests.unit.reshare.setting import CONSTANTS, DEALINGS, ESTATE, GAMMA, KEYS, PARAMS, TESTS, TOTAL

PATH = Path(__file__).parents[2] / "vectors" / "reshare_v1.json"
DEALER, RECEIVER = 2, 3


def build() -> dict[str, Any]:
    made = DEALINGS[DEALER]
    q = choose.choose_q(PARAMS.rid, CONSTANTS, CONSTANTS, TOTAL, PARAMS.old.k)
    ek = ESTATE.eks[RECEIVER]
    complain = make_complaint(PARAMS, RECEIVER, made.deal, GAMMA, TESTS[DEALER], made.bundle, ek)
    plains = {j: open_own(PARAMS, RECEIVER, DEALINGS[j].deal, DEALINGS[j].bundle, ek) for j in q}
    shares = sums.new_shares(PARAMS, plains)
    nonces = hashlib.sha256(ESTATE.nonces).digest()
    return {
        "params": _params(),
        "rid": PARAMS.rid.hex(),
        "deal": {
            "dealer": DEALER,
            "rdeal": made.deal.encode().hex(),
            "leaves": [leaf.hex() for leaf in made.bundle.leaves],
            "ciphertext_of_receiver": made.bundle.ciphertexts[RECEIVER - 1].hex(),
            "key_of_receiver": dealer_key(PARAMS, DEALER, RECEIVER, made.deal.e, made.sharing.e_secret).hex(),
            "pok_context": strings.deal_context(PARAMS.chain_id, PARAMS.rid, DEALER).hex(),
        },
        "roots": {str(j): DEALINGS[j].deal.root.hex() for j in DEALINGS},
        "gamma_seed": GAMMA.hex(),
        "gamma": gamma_weights(PARAMS, GAMMA).hex(),
        "tests": {str(j): [c.hex() for c in TESTS[j].u] for j in TESTS},
        "total": TOTAL.hex(),
        "order": choose.seeded_order(PARAMS.rid, CONSTANTS),
        "q": list(q),
        "ready": strings.ready_hash(PARAMS.rid, PARAMS.root, q, TOTAL, {j: TESTS[j].u for j in q}).hex(),
        "new_shares_of_receiver": [share.to_bytes(32, "big").hex() for share in shares],
        "complaint": {
            "context": strings.complaint_context(PARAMS.chain_id, PARAMS.rid, DEALER, RECEIVER).hex(),
            "shared": complain.shared.hex(),
            "dleq": complain.dleq.hex(),
            "deal_hash": complain.deal_hash.hex(),
        },
        "nonces_seed": strings.nonces_seed(PARAMS.rid, PARAMS.root, nonces).hex(),
    }


def _params() -> dict[str, Any]:
    return {
        "chain_id": PARAMS.chain_id,
        "from_epoch": PARAMS.from_epoch,
        "old_hash": PARAMS.old_hash.hex(),
        "to_epoch": PARAMS.to_epoch,
        "new_hash": PARAMS.new_hash.hex(),
        "curve": PARAMS.curve,
        "first_index": PARAMS.first_index,
        "count": PARAMS.count,
        "root": PARAMS.root.hex(),
        "mask_index": PARAMS.mask_index,
        "attempt": PARAMS.attempt,
        "counter": PARAMS.counter,
        "eks": [ek.hex() for ek in PARAMS.eks],
        "pairs": KEYS.pairs.hex(),
        "mask": KEYS.mask.hex(),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(build(), indent=1) + "\n")
