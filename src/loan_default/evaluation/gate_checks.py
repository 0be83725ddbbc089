"""The checks of the gate, a function for each number: evidence and thresholds in, rules out."""

from collections.abc import Iterator

from loan_default.evaluation import gate_rules as rules
from loan_default.evaluation.gate_evidence import BesideChampion, Evidence
from loan_default.evaluation.gate_rules import Metric, Rule, shown
from loan_default.evaluation.live_rule import live_rule
from loan_default.thresholds import GatePolicy, Thresholds

ERROR = 0.05
"""Probability that a champion is ever replaced by a model that is no better, over all comparisons with it."""
GOLDEN_TOLERANCE = 1e-6
"""How far a PD of a golden row may be from the stored one."""


def level_of(comparisons: int) -> float:
    """Return the two-sided level of the interval by which the k-th model beside a champion is decided."""
    return 1 - 2 * ERROR / (comparisons * (comparisons + 1))


def artefact_rule(evidence: Evidence) -> Rule:
    """Check that the file scores what it scored after its training."""
    gap = evidence.golden_gap
    return rules.decided(
        rules.ARTEFACT,
        "artefact",
        passed=gap is not None and gap <= GOLDEN_TOLERANCE,
        value=gap,
        threshold=GOLDEN_TOLERANCE,
        sentence="the file has no golden rows; train the model again."
        if gap is None
        else f"the file has its digest, and scores its golden rows within {gap:.1e}; {GOLDEN_TOLERANCE:.0e} "
        "is allowed.",
    )


def data_rules(evidence: Evidence, thresholds: Thresholds) -> Iterator[Rule]:
    """Check that there are enough rows to say anything."""
    minimum, rarer = thresholds.minimum_rows, min(evidence.bads, evidence.rows - evidence.bads)
    yield rules.decided(
        rules.DATA,
        "rows",
        passed=evidence.rows >= minimum,
        value=float(evidence.rows),
        threshold=float(minimum),
        sentence=f"the model was evaluated on {evidence.rows:,} labelled rows; there must be at least "
        f"{minimum:,}.",
    )
    yield rules.decided(
        rules.DATA,
        "bads",
        passed=rarer >= thresholds.minimum_bads,
        value=float(rarer),
        threshold=float(thresholds.minimum_bads),
        sentence=f"{evidence.bads:,} of these rows are defaults; of the rarer outcome there must be at least "
        f"{thresholds.minimum_bads:,}.",
    )
    coverage = evidence.coverage
    share = "an unknown share" if coverage is None else f"{coverage:.1%}"
    yield rules.decided(
        rules.DATA,
        "coverage",
        passed=coverage is not None and coverage >= thresholds.minimum_coverage,
        value=coverage,
        threshold=thresholds.minimum_coverage,
        sentence=f"the outcome of {share} of the rows that are old enough is known; it must be at least "
        f"{thresholds.minimum_coverage:.1%}.",
    )


def cooldown_rule(evidence: Evidence, policy: GatePolicy) -> Rule:
    """Check that the last promotion is long enough ago."""
    days, needed = evidence.days_since_promotion, policy.cooldown_days
    if not needed:
        return rules.off(rules.COOLDOWN, "cooldown", "no days between two promotions are asked for.")
    if days is None:
        return rules.off(rules.COOLDOWN, "cooldown", "there is no promotion before this one.")
    return rules.decided(
        rules.COOLDOWN,
        "cooldown",
        passed=days >= needed,
        value=days,
        threshold=needed,
        sentence=f"the last promotion was {days:.1f} days ago; between two there must be {needed:g}.",
    )


def discrimination_rules(evidence: Evidence, thresholds: Thresholds, policy: GatePolicy) -> Iterator[Rule]:
    """Check that the model ranks well enough, and better than the champion beyond chance."""
    yield _auc(evidence, thresholds.minimum_auc)
    yield rules.at_least(
        rules.DISCRIMINATION, "ks", evidence.metrics.get("ks"), thresholds.minimum_ks, called="KS"
    )
    beside = evidence.champion
    yield live_rule(
        None if beside is None else beside.live,
        thresholds=thresholds,
        policy=policy,
        has_champion=beside is not None,
    )
    if beside is None:
        yield rules.off(rules.DISCRIMINATION, "lead", "there is no champion to compare the model with.")
        return
    own, champion = evidence.metrics.get("auc"), beside.metrics.get("auc")
    yield _ahead(own, champion, thresholds.minimum_lead)
    yield _certainly_ahead(beside, evidence.rows, thresholds, policy)


def _auc(evidence: Evidence, minimum: float) -> Rule:
    value, interval = evidence.metrics.get("auc"), evidence.auc_interval
    certain = (
        "" if interval is None else f", and at least {interval[0]:.4f} on nearly all samples of so many rows"
    )
    return rules.decided(
        rules.DISCRIMINATION,
        "auc",
        passed=value is not None and interval is not None and min(value, interval[0]) >= minimum,
        value=value,
        threshold=minimum,
        interval=interval,
        sentence=f"AUC is {shown(value)}{certain}; it must be at least {minimum:.4f}.",
    )


def _ahead(value: Metric, champion: Metric, minimum: float) -> Rule:
    if minimum >= 0:
        asked = f"it must be at least {minimum:.4f} ahead"
    else:
        asked = f"it may be at most {-minimum:.4f} behind"
    lead = None if value is None or champion is None else value - champion
    if lead is None:
        sentence = f"AUC is {shown(value)}, and the champion's AUC is {shown(champion)}; {asked}."
    else:
        side = "ahead of" if lead >= 0 else "behind"
        sentence = (
            f"AUC is {shown(value)}, which is {abs(lead):.4f} {side} the champion's {shown(champion)}; "
            f"{asked}."
        )
    return rules.decided(
        rules.DISCRIMINATION,
        "lead",
        passed=lead is not None and lead >= minimum,
        value=lead,
        threshold=minimum,
        sentence=sentence,
    )


def _certainly_ahead(beside: BesideChampion, rows: int, thresholds: Thresholds, policy: GatePolicy) -> Rule:
    if policy.lead_from == "live":
        return rules.off(
            rules.DISCRIMINATION, "certain_lead", "the lead is taken from live applications, see live_lead."
        )
    level, lead = level_of(beside.comparisons), beside.lead
    threshold = 0.0 if policy.demand == "better" else -thresholds.maximum_auc_loss
    interval = None if lead is None else lead.interval(level)
    passed = interval is not None and interval[0] > threshold
    if interval is None:
        found = "the interval of the lead over the champion is not defined"
    else:
        found = f"on these {rows:,} rows the lead over the champion is {interval[0]:.4f} to {interval[1]:.4f}"
    tried = f" at a level of {level:.2%}" + (
        f", as {beside.comparisons} models were compared with this champion" if beside.comparisons > 1 else ""
    )
    asked = "better" if policy.demand == "better" else f"as good, with a margin of {-threshold:.4f}"
    return rules.decided(
        rules.DISCRIMINATION,
        "certain_lead",
        passed=passed,
        value=None if lead is None else lead.lead,
        threshold=threshold,
        interval=interval,
        sentence=f"{found}{tried}; the whole of it must be above {threshold:.4f}, as the model must be "
        f"{asked}.",
    )


def calibration_rules(evidence: Evidence, thresholds: Thresholds) -> Iterator[Rule]:
    """Check that PDs are right in their level, and no worse than those of the champion."""
    metrics = evidence.metrics
    yield rules.at_most(
        rules.CALIBRATION,
        "brier",
        metrics.get("brier"),
        thresholds.maximum_brier,
        called="the Brier score",
    )
    yield rules.at_most(
        rules.CALIBRATION,
        "ece",
        metrics.get("ece"),
        thresholds.maximum_calibration_error,
        called="the calibration error",
    )
    shift, limit = metrics.get("calibration_intercept"), thresholds.maximum_calibration_shift
    yield rules.decided(
        rules.CALIBRATION,
        "calibration_intercept",
        passed=shift is not None and abs(shift) <= limit,
        value=shift,
        threshold=limit,
        sentence=f"the calibration intercept is {shown(shift)}; it must be within {limit:.4f} of 0.",
    )
    slope, bounds = (
        metrics.get("calibration_slope"),
        (thresholds.minimum_calibration_slope, thresholds.maximum_calibration_slope),
    )
    yield rules.decided(
        rules.CALIBRATION,
        "calibration_slope",
        passed=slope is not None and bounds[0] <= slope <= bounds[1],
        value=slope,
        threshold=bounds[1] if slope is not None and slope > 1 else bounds[0],
        sentence=f"the calibration slope is {shown(slope)}; it must be between {bounds[0]:.4f} and "
        f"{bounds[1]:.4f}.",
    )
    if evidence.champion is not None:
        loss = _difference(metrics.get("brier"), evidence.champion.metrics.get("brier"))
        yield rules.at_most(
            rules.CALIBRATION,
            "brier_loss",
            loss,
            thresholds.maximum_brier_loss,
            called="the Brier score less that of the champion",
        )


def stability_rules(evidence: Evidence, thresholds: Thresholds) -> Iterator[Rule]:
    """Check that the applications are those of the training, by their scores and by each column."""
    yield _score_stability(evidence, thresholds.maximum_score_psi)
    yield _column_stability(evidence, thresholds.maximum_column_psi)


def _column_stability(evidence: Evidence, maximum: float) -> Rule:
    if evidence.column_psi is None:
        return rules.decided(
            rules.STABILITY,
            "column_psi",
            passed=False,
            value=None,
            threshold=maximum,
            sentence="the PSI of the columns against the training is not known; train the model again.",
        )
    which, value, critical = evidence.column_psi
    limit = max(maximum, critical)
    return rules.decided(
        rules.STABILITY,
        "column_psi",
        passed=value <= limit,
        value=value,
        threshold=limit,
        sentence=f"the column in which these {evidence.rows:,} rows are furthest from the training is "
        f"{which}, with a PSI of {value:.4f} (by chance {critical:.4f}); it must be at most {limit:.4f}.",
    )


def _score_stability(evidence: Evidence, maximum: float) -> Rule:
    if evidence.score_psi is None:
        value, limit, chance = None, maximum, ""
    else:
        value, critical = evidence.score_psi
        limit = max(maximum, critical)
        chance = f" (by chance {critical:.4f})"
    return rules.decided(
        rules.STABILITY,
        "score_psi",
        passed=value is not None and value <= limit,
        value=value,
        threshold=limit,
        sentence=f"the PSI of the scores of these {evidence.rows:,} rows against those of the training is "
        f"{shown(value)}{chance}; it must be at most {limit:.4f}.",
    )


def canary_rules(evidence: Evidence, thresholds: Thresholds, policy: GatePolicy) -> Iterator[Rule]:
    """Check that the model does not decide all too differently than the champion."""
    beside = evidence.champion
    if beside is None:
        yield rules.off(rules.CANARY, "mean_pd_change", "there is no champion to compare the model with.")
        yield rules.off(rules.CANARY, "approval_change", "there is no champion to compare the model with.")
        return
    changes = (
        ("mean_pd_change", "the mean PD", evidence.metrics.get("mean_pd"), beside.metrics.get("mean_pd")),
        (
            "approval_change",
            f"the approval rate at a PD of {policy.cutoff:.1%}",
            evidence.approval_rate,
            beside.approval_rate,
        ),
    )
    limits = (thresholds.maximum_mean_pd_change, thresholds.maximum_approval_change)
    for (name, called, own, other), limit in zip(changes, limits, strict=True):
        change = _difference(own, other)
        yield rules.decided(
            rules.CANARY,
            name,
            passed=change is not None and abs(change) <= limit,
            value=change,
            threshold=limit,
            sentence=f"{called} is {shown(own)}, that of the champion {shown(other)}; they may be "
            f"{limit:.4f} apart.",
        )


def _difference(value: Metric, other: Metric) -> Metric:
    return None if value is None or other is None else value - other
