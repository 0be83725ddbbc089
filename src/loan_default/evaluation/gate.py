"""The gate: may a model score applications? Evidence and thresholds in, a verdict with every rule out.

The rules have the numbers of `gate_rules`. What is missing fails: a rule that is asked for and whose value is
not defined is broken. The champion is compared on the same rows, by the interval of the difference and not by
the difference alone: between two equally good models the sign is that of a coin.

Each model that is compared with one champion is one more draw. The k-th comparison is made at a two-sided
level of 1 - 0.1 / (k (k + 1)), whose one-sided errors 0.05 / (k (k + 1)) add up to 5 %: the first is the
usual interval of 95 %, and however many models are tried, the champion is replaced by one that is no better
with a probability of at most 5 %.
"""

from dataclasses import dataclass

from loan_default.evaluation import gate_checks as checks
from loan_default.evaluation.gate_evidence import Evidence
from loan_default.evaluation.gate_rules import Rule
from loan_default.evaluation.segments import segment_rules
from loan_default.thresholds import GatePolicy, RuleOutcome, Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What speaks for a model and against it."""

    reasons: tuple[str, ...]
    """A sentence for each rule that was checked, whether the model passed it or not."""
    broken: tuple[str, ...] = ()
    """Those of the reasons that speak against the model."""
    rules: tuple[Rule, ...] = ()
    """The rules as data; also those that are off, which have no reason."""
    approval: str | None = None
    """Id of the approval by a person that the verdict rests on; None = on none."""

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the model."""
        return not self.broken


def verdict_of(checked: tuple[Rule, ...], *, approval: str | None = None) -> Verdict:
    """Return the verdict of rules that were checked."""
    return Verdict(
        reasons=tuple(rule.reason for rule in checked if rule.outcome is not RuleOutcome.OFF),
        broken=tuple(rule.reason for rule in checked if rule.outcome is RuleOutcome.FAILED),
        rules=checked,
        approval=approval,
    )


def check_rules(evidence: Evidence, *, thresholds: Thresholds, policy: GatePolicy) -> tuple[Rule, ...]:
    """Check every rule, those of the approval by a person left out."""
    artefact = checks.artefact_rule(evidence).of(evidence.artefact)
    others = (
        *checks.data_rules(evidence, thresholds),
        checks.cooldown_rule(evidence, policy),
        *checks.discrimination_rules(evidence, thresholds, policy),
        *checks.calibration_rules(evidence, thresholds),
        *segment_rules(evidence.segments, thresholds=thresholds, columns=policy.segments),
        *checks.stability_rules(evidence, thresholds),
        *checks.canary_rules(evidence, thresholds, policy),
    )
    # A rule that names what it was computed from is not about the evaluation rows.
    return (artefact, *(rule if rule.data else rule.of(evidence.data) for rule in others))
