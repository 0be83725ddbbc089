"""Rule 4 of the gate on live applications: the lead over the champion where outcomes have come.

The interval is that of the newest experiment of the two models. It holds at all looks, and is wider for each
further experiment beside the same champion (`live_comparison`), so that a promotion may be tried every day.
"""

from dataclasses import dataclass

from loan_default.evaluation import gate_rules as rules
from loan_default.evaluation.gate_rules import Rule
from loan_default.evaluation.live_comparison import Estimate
from loan_default.thresholds import GatePolicy, Thresholds

NAME = "live_lead"


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveLead:
    """What an experiment says about two models."""

    experiment: str
    """Id of the experiment."""
    outcomes: int
    """Applications of both models whose outcome is known."""
    planned: int | None
    """Outcomes that it was planned for; None = nothing was known to plan with."""
    lead: Estimate | None
    """AUC of the challenger less that of the champion; None = too little is known, see `note`."""
    note: str = ""


def live_rule(
    live: LiveLead | None, *, thresholds: Thresholds, policy: GatePolicy, has_champion: bool
) -> Rule:
    """Check the lead on live applications.

    Where the policy takes the lead from it, the whole interval must be above the threshold, and a model that
    no experiment has compared fails. Otherwise an experiment only speaks against a model, where it has found
    the champion to be better.
    """
    if not has_champion:
        return rules.off(rules.DISCRIMINATION, NAME, "there is no champion to compare the model with.")
    decides = policy.lead_from == "live"
    if live is None:
        if not decides:
            sentence = "no experiment has compared the model with the champion on live applications."
            return rules.off(rules.DISCRIMINATION, NAME, sentence)
        return rules.decided(
            rules.DISCRIMINATION,
            NAME,
            passed=False,
            value=None,
            threshold=None,
            sentence="the lead is taken from live applications, and no experiment has compared the model "
            "with the champion; `loan-default challenge VERSION --shadow` starts one.",
        )
    as_good = policy.demand == "as-good"
    threshold = (-thresholds.maximum_auc_loss if as_good else 0.0) if decides else 0.0
    planned = "" if live.planned is None else f", of {live.planned:,} that were planned"
    known = f"in {live.experiment} {live.outcomes:,} outcomes are known{planned}"
    if live.lead is None:
        sentence = f"{known}, which is too little: {live.note}."
        if not decides:
            return rules.off(rules.DISCRIMINATION, NAME, sentence).of(live.experiment)
        passed = False
    else:
        low, high = live.lead.low, live.lead.high
        passed = low > threshold if decides else high >= threshold
        asked = (
            f"the whole of it must be above {threshold:.4f}, as the model must be "
            + (f"as good, with a margin of {thresholds.maximum_auc_loss:.4f}" if as_good else "better")
            if decides
            else "it must not be below 0 as a whole"
        )
        sentence = (
            f"{known}, and the lead over the champion is {low:.4f} to {high:.4f} however often one looks; "
            f"{asked}."
        )
    return rules.decided(
        rules.DISCRIMINATION,
        NAME,
        passed=passed,
        value=None if live.lead is None else live.lead.value,
        threshold=threshold,
        interval=None if live.lead is None else (live.lead.low, live.lead.high),
        sentence=sentence,
    ).of(live.experiment)
