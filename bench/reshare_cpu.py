"""CPU of a resharing alone: microseconds per key and node, no network, no chain, no disk.

    python -m bench.reshare_cpu [--old 9] [--new 9] [--keys 1000] [--disjoint]

Runs all machines of one resharing in one thread, delivers everything at once and divides the CPU time of the machines.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from authnet_core.protocol.committee import Committee
from authnet_core.protocol.reshare.effects import ReshareEffect, SendAllNew, SendNew, SendOld, Submit
from authnet_core.protocol.reshare.machine import Resharing
from authnet_core.protocol.reshare.messages import ReshareChainMessage, ReshareMessage
from authnet_core.protocol.reshare.params import Sender
from tests.sim.reshare.estate import Estate, make_estate
from tests.sim.reshare.modelled_chain import ModelledChain


def places_of(old: int, new: int, disjoint: bool) -> list[Sender]:
    """Nodes of both committees as far as they go, then those of one."""
    both = 0 if disjoint else min(old, new)
    places = [Sender(i, i) for i in range(1, both + 1)]
    return (
        places + [Sender(old=j) for j in range(both + 1, old + 1)] + [Sender(new=m) for m in range(both + 1, new + 1)]
    )


def build(estate: Estate, place: Sender, seed: bytes) -> Resharing:
    old, new = place.old or 0, place.new or 0
    ek, rows, mask = estate.eks.get(new), estate.rows.get(old), estate.masks.get(old)
    return Resharing(estate.params, estate.keys, place.old, place.new, ek, rows, mask, seed, {})


def receivers(effect: ReshareEffect, sender: Sender, places: list[Sender]) -> list[Sender]:
    match effect:
        case SendAllNew():
            return [to for to in places if to.new and to != sender]
        case SendNew(to=index):
            return [to for to in places if to.new == index]
        case SendOld(to=index):
            return [to for to in places if to.old == index]
    return []


def measure(old: int, new: int, keys: int, disjoint: bool) -> tuple[int, float, Counter[str]]:
    """(nodes, CPU seconds of all machines, the same by kind of input)."""
    rng = Random(1)
    estate = make_estate(rng, Committee.of(old), Committee.of(new), keys)
    places = places_of(old, new, disjoint)
    spent, chain = Counter[str](), ModelledChain(estate.params)
    mail: list[tuple[Sender, Sender, ReshareMessage]] = []
    txs: list[tuple[Sender, ReshareChainMessage]] = []
    nodes: dict[Sender, Resharing] = {}

    def run(place: Sender, kind: str, step: Callable[..., Any], *arguments: object) -> Any:
        began = time.process_time()
        done = step(*arguments)
        spent[kind] += time.process_time() - began
        return done

    def carry_out(place: Sender, effects: list[ReshareEffect]) -> None:
        for effect in effects:
            mail.extend((place, to, effect.message) for to in receivers(effect, place, places))
            if isinstance(effect, Submit):
                txs.append((place, effect.message))

    for place in places:
        nodes[place] = run(place, "construction", build, estate, place, rng.randbytes(32))
    for now in range(0, 20_000, 250):
        for place, machine in nodes.items():
            carry_out(place, run(place, f"chain:{chain.phase}", machine.on_chain, chain.view()))
        while mail:
            sender, to, message = mail.pop(0)
            carry_out(to, run(to, type(message).__name__, nodes[to].handle, sender, message))
        chain.block(now, txs)
        txs.clear()
        if chain.phase == "final" and len(chain.holders) == new:
            return len(places), sum(spent.values()), spent
    raise RuntimeError(f"stopped in phase {chain.phase}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=int, default=9)
    parser.add_argument("--new", type=int, default=9)
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--disjoint", action="store_true")
    arguments = parser.parse_args()
    nodes, seconds, spent = measure(arguments.old, arguments.new, arguments.keys, arguments.disjoint)
    per = 1e6 / arguments.keys / nodes
    sizes = f"{arguments.old} -> {arguments.new}"
    print(f"{sizes}: {arguments.keys} keys, {nodes} nodes, {seconds * per:.1f} us of CPU per key and node")
    for kind, part in spent.most_common():
        print(f"  {kind:20} {part * per:7.1f} us")


if __name__ == "__main__":
    main()
