"""Rule 8 of the gate: approval rates by group, as the policy profile asks for them.

The figures are those of the training, on rows that the model has not seen, at the cut-off in use then.
"""

from loan_default.evaluation import gate_rules as rules
from loan_default.evaluation.fairness import GroupFairness
from loan_default.evaluation.gate_rules import Rule
from loan_default.evaluation.training_evidence import FairnessFacts
from loan_default.review_policy import FairnessMode, PolicyProfile

NAME = "fairness"


def fairness_rule(facts: FairnessFacts | None, profile: PolicyProfile, *, data: str | None) -> Rule:
    """Check the ratio of approval rates of each group; off unless the profile's mode is `gate`.

    It fails where a ratio is below the minimum beyond chance, and where nothing was compared.

    Args:
        facts: groups at the cut-off; None = none are stored.
        data: id of what they were computed from.
    """
    compared = [] if facts is None else _compared(facts)
    lowest = min(compared, key=lambda pair: pair[1].ratio or 0.0, default=None)
    if lowest is None:
        sentence = (
            f"policy {profile.name} asks for the approval rates of groups, and none are stored that can be "
            "compared. Declare protected columns in the schema and train again."
        )
        found, interval = None, None
    else:
        attribute, group = lowest
        found = group.ratio
        interval = None if group.low is None or group.high is None else (group.low, group.high)
        sentence = (
            f"the lowest ratio of approval rates is {rules.shown(found)}, of {attribute} {group.group}; it "
            f"must be at least {profile.minimum_ratio:.4f}, or the difference may be chance."
        )
    if profile.fairness_mode is not FairnessMode.GATE:
        return rules.off(rules.FAIRNESS, NAME, f"watched only: {sentence}").of(data)
    below = [
        group
        for _, group in compared
        if group.ratio is not None
        and group.high is not None
        and group.ratio < profile.minimum_ratio
        and group.high < 1
    ]
    return rules.decided(
        rules.FAIRNESS,
        NAME,
        passed=lowest is not None and not below,
        value=found,
        threshold=profile.minimum_ratio,
        interval=interval,
        sentence=sentence,
    ).of(data)


def _compared(facts: FairnessFacts) -> list[tuple[str, GroupFairness]]:
    """Attribute and group of each ratio; the reference, which is 1, is left out."""
    return [
        (attribute.attribute, group)
        for attribute in facts.attributes
        for group in attribute.groups
        if group.ratio is not None and group.state != "reference"
    ]
