"""All defences. Plans are small and aimed at one; all pass with it (test_planted_bugs.py runs them without an edit)."""

from tests.sim.defence import Defence
from tests.sim.defences_attack import COMPLAINTS, FALLBACKS, RECOVERY
from tests.sim.defences_deal import DEAL_CHECKS, LISTS, ORDER_OF_STORES, REVEALS

DEFENCES: tuple[Defence, ...] = (
    *DEAL_CHECKS,
    *ORDER_OF_STORES,
    *REVEALS,
    *LISTS,
    *COMPLAINTS,
    *RECOVERY,
    *FALLBACKS,
)
