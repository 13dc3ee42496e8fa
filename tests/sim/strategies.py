"""The table of strategies: name -> conduct of a liar. A new one needs a line here; the sweep's pairs come from it."""

from collections.abc import Callable

from tests.sim import lies_attack as attack
from tests.sim import lies_copy as copy
from tests.sim import lies_deal as deal
from tests.sim import lies_fallback as fallback
from tests.sim import lies_noise as noise
from tests.sim import lies_talk as talk
from tests.sim.liar import Conduct, Liar

Strategy = Callable[[Liar], Conduct]

SILENT: dict[str, Strategy] = {f"silent from its {step}": talk.silent_from(step) for step, _ in talk.STEPS}

DEALINGS: dict[str, Strategy] = {
    "wrong degree": deal.wrong_degree,
    "wrong degree, fitted u": deal.wrong_degree_fitted,
    "one bad share": deal.spoilt_shares(lambda text: deal.flipped(text, 31)),
    "t bad shares": deal.spoilt_shares(lambda text: deal.flipped(text, 31), all_victims=True),
    "bad spare share": deal.spare_row_only,
    "share not canonical": deal.share_not_canonical,
    "guessed gamma": deal.guessed_gamma,
    "wrong v": deal.spoilt_shares(lambda text: deal.flipped(text, -1)),
    "garbage": deal.garbage,
    "garbage, fitted u": deal.garbage_fitted,
    "garbage for few": deal.garbage_for_few,
    "zero constant": deal.zeroed(0),
    "zero row": deal.zeroed(*range(9)),
    "constant rows": deal.constant_rows,
    "wrong list": deal.wrong_list,
    "short ciphertext": deal.short_ciphertext,
    "leaf without text": deal.leaf_without_text,
    "wrong root": deal.wrong_root,
    "u not canonical": deal.malformed(deal.u_not_canonical),
    "u too long": deal.malformed(deal.u_too_long),
    "deal without proof": deal.malformed(deal.without_proof),
    "copied deal": copy.copied_deal,
    "copied E": copy.copied_e,
    "shared E": copy.shared_e,
    "proof of another index": copy.replayed_proof,
    "dealing of another session": copy.replayed_dealing(counter=999),
    "dealing of another epoch": copy.replayed_dealing(epoch=7),
    "dealing of another index": copy.dealing_of_another_index,
}

TALK: dict[str, Strategy] = {
    "keeps its list": talk.keeps_its_list,
    "late list": talk.late_list,
    "early list": talk.early_list,
    "list of another hash": talk.list_of_another_hash,
    "list fitted to gamma": talk.list_fitted_to_gamma,
    "equivocates its list": talk.equivocates_list,
    "equivocates its bundle": talk.equivocates_bundle,
    "equivocates its deal": talk.equivocates_deal,
    "nothing for victims": talk.nothing_for_victims,
    "bundle for few": talk.bundle_for_few,
    "late bundle": talk.late_bundle,
    "spoils what it sends on": talk.spoils_relayed,
    "serves nothing": talk.serves_nothing,
    "acks everything": talk.acks_everything,
    "acks accomplices only": talk.acks_accomplices_only,
    "opens everything": talk.opens_everything,
    "withholds OPENED": talk.withholds_opened,
    "withholds FINAL": talk.withholds_final,
    "withholds KEYS": talk.withholds_keys,
    "wrong FINAL": talk.wrong_final,
    "early votes": talk.early_votes,
    "bits of nobody": talk.bits_of_nobody,
}

RECOVERY: dict[str, Strategy] = {
    "forged D in recovery": attack.bad_share_and(attack.forged_recovery),
    "forged DLEQ in recovery": attack.bad_share_and(attack.forged_recovery_proof),
    "recovers nobody": attack.bad_share_and(attack.recovers_nobody),
    "equivocates in recovery": attack.bad_share_and(attack.equivocates_recovery),
    "bad share, no list, no FINAL": attack.all_at_once,
}

ATTACKS: dict[str, Strategy] = {
    "false complaint": attack.false_complaint(attack.no_offence),
    "complaint with altered ciphertext": attack.false_complaint(attack.altered_ciphertext),
    "complaint with altered leaves": attack.false_complaint(attack.altered_leaves),
    "complaint with altered D": attack.false_complaint(attack.altered_d),
    "complaint with forged DLEQ": attack.false_complaint(attack.forged_dleq),
    "complaint with another's ciphertext": attack.false_complaint(attack.others_ciphertext),
    "complaint about another deal": attack.false_complaint(attack.of_another_deal),
    "misshapen complaint": attack.false_complaint(attack.misshapen),
    "complains about itself": attack.about_itself,
    "replayed complaint": attack.replayed_complaint,
    "unasked recovery": attack.unasked_recovery,
    "wrong parts": fallback.wrong_parts(0),
    "wrong spare part": fallback.wrong_parts(-1),
    "wrong parts and scalar": fallback.wrong_parts_and_scalar,
    "parts fitted to gamma": fallback.parts_fitted_to_gamma,
    "parts of no hash": fallback.parts_of_no_hash,
    "parts off the curve": fallback.parts_off_curve,
    "equivocates parts": fallback.equivocates_parts,
    "serves no parts": fallback.serves_no_parts,
    "wrong fallback scalar": fallback.wrong_scalar,
    "scalar not canonical": fallback.scalar_not_canonical,
    "hurried fallback": fallback.hurried_fallback,
    "fallback list after the challenge": fallback.list_after_the_challenge,
    "list in the fallback": fallback.own_list_in_fallback,
}

NOISE: dict[str, Strategy] = {
    "replays messages": noise.replays_messages,
    "replays transactions": noise.replays_transactions,
    "replays another session": noise.replays_session,
    "replays another epoch": noise.replays_epoch,
    "floods wants": noise.floods_wants,
    "floods bulk": noise.floods_bulk,
    "frames at limits": noise.frames_at_limits,
}

STRATEGIES: dict[str, Strategy] = {**SILENT, **DEALINGS, **TALK, **RECOVERY, **ATTACKS, **NOISE}
RECOVERED = frozenset(RECOVERY)
"""Their victims complain late, so that there is something to recover."""
