"""CPU of key generation alone: microseconds per key and node, no network, no chain, no disk.

    python -m bench.dkg_cpu [--n 5] [--keys 1000]

Runs all n machines of one session in one thread, delivers everything at once and divides the CPU time of the machines.
"""

import argparse
import time
from collections import Counter
from random import Random

from authnet_core.crypto.secp256k1 import pub
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.effects import Send, Submit
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import ChainMessage, Message
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.dkg.strings import committee_hash
from tests.sim.model_chain import ModelChain


def measure(n: int, keys: int) -> tuple[int, float, Counter[str]]:
    """(keys made, CPU seconds of all machines, the same by kind of input)."""
    rng, committee = Random(1), Committee.of(n)
    rows = -(-keys // (n - committee.k + 1))
    secrets = [rng.randbytes(32) for _ in range(n)]
    members = committee_hash(committee, [pub(rng.randbytes(32)) for _ in range(n)])
    params = SessionParams("bench-1", 1, 0, committee, members, rows, tuple(map(pub, secrets)))
    nodes = {j: Session(params, j, secrets[j - 1], rng.randbytes(32), {}) for j in params.parties}
    chain, spent = ModelChain(params), Counter[str]()
    mail: list[tuple[int, int, Message]] = []
    txs: list[tuple[int, ChainMessage]] = []

    def run(node: int, kind: str, step: object, *arguments: object) -> None:
        began = time.process_time()
        effects = step(*arguments)  # type: ignore[operator]
        spent[kind] += time.process_time() - began
        mail.extend((node, e.to, e.message) for e in effects if isinstance(e, Send))
        txs.extend((node, e.message) for e in effects if isinstance(e, Submit))

    for now in range(0, 10_000, 250):
        for j, session in nodes.items():
            run(j, f"chain:{chain.phase}", session.on_chain, chain.view())
        while mail:
            sender, to, message = mail.pop(0)
            run(to, type(message).__name__, nodes[to].handle, sender, message)
        chain.block(now, txs)
        txs.clear()
        if chain.phase == "final" and len(chain.holders) == n:
            break
    return params.keys_of(chain.q), sum(spent.values()), spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=5)
    parser.add_argument("--keys", type=int, default=1000)
    arguments = parser.parse_args()
    made, seconds, spent = measure(arguments.n, arguments.keys)
    per = 1e6 / made / arguments.n
    print(f"n={arguments.n}: {made} keys, {seconds * per:.1f} us of CPU per key and node")
    for kind, part in spent.most_common():
        print(f"  {kind:18} {part * per:7.1f} us")


if __name__ == "__main__":
    main()
