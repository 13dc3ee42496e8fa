"""One module per transaction kind, and the one table that finds it.

`check` raises Rejected and is all that decides; `apply` never fails after it and returns the result's data and
the events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from abci_app.handlers import (
    ack,
    assign,
    complain,
    deal,
    enckey,
    erased,
    fallback_list,
    fallback_scalar,
    final,
    have,
    keys,
    observe,
    opened,
    rack,
    rcomplain,
    rdeal,
    ready,
    ready_node,
    reject,
    rhave,
    rtest,
)
from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.state.state import State


@dataclass(frozen=True, slots=True)
class Handler:
    check: Callable[[State, Tx], None]
    apply: Callable[[State, Tx], tuple[bytes, list[Event]]]


HANDLERS: Mapping[str, Handler] = {
    "enckey": Handler(enckey.check, enckey.apply),
    "deal": Handler(deal.check, deal.apply),
    "ack": Handler(ack.check, ack.apply),
    "complain": Handler(complain.check, complain.apply),
    "opened": Handler(opened.check, opened.apply),
    "fallback_list": Handler(fallback_list.check, fallback_list.apply),
    "fallback_scalar": Handler(fallback_scalar.check, fallback_scalar.apply),
    "final": Handler(final.check, final.apply),
    "keys": Handler(keys.check, keys.apply),
    "have": Handler(have.check, have.apply),
    "rdeal": Handler(rdeal.check, rdeal.apply),
    "rtest": Handler(rtest.check, rtest.apply),
    "rack": Handler(rack.check, rack.apply),
    "rcomplain": Handler(rcomplain.check, rcomplain.apply),
    "ready": Handler(ready.check, ready.apply),
    "rhave": Handler(rhave.check, rhave.apply),
    "assign": Handler(assign.check, assign.apply),
    "observe": Handler(observe.check, observe.apply),
    "reject": Handler(reject.check, reject.apply),
    "ready_node": Handler(ready_node.check, ready_node.apply),
    "erased": Handler(erased.check, erased.apply),
}
