"""The part of a run's evidence that depends on a cut-off: money, and groups of protected attributes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.data.schema.column import Column, Kind
from loan_default.evaluation.decision_costs import (
    approval_curve,
    choose_cutoff,
    outcome_at,
    score_bands,
)
from loan_default.evaluation.fairness import (
    AttributeFairness,
    banded,
    fairness_of,
    likely_proxies,
)
from loan_default.evaluation.metrics import auc
from loan_default.evaluation.training_evidence import Alternative, FairnessFacts, MoneyFacts
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.stages import Trained
from loan_default.review_policy import FairnessMode, ReviewPolicy

_ALTERNATIVE_RATES = (0.6, 0.7, 0.8, 0.9)
"""Approval rates at which alternatives are compared, beside the operating cut-off."""


def money_of(plan: TrainingPlan, trained: Trained, policy: ReviewPolicy) -> MoneyFacts:
    """Choose the cut-off on the validation rows and compute what it means on the test rows."""
    terms = policy.terms
    chosen_on, kept_to_choose = _exposure(plan, plan.split.validation, terms.exposure_column)
    tested_on, kept_to_test = _exposure(plan, plan.split.test, terms.exposure_column)
    validation, test = trained.validation, trained.test
    choice = choose_cutoff(
        validation.y[kept_to_choose],
        validation.calibrated[kept_to_choose],
        terms=terms,
        exposure=chosen_on,
    )
    y, scores = test.y[kept_to_test], test.calibrated[kept_to_test]
    return MoneyFacts(
        loss_given_default=terms.loss_given_default,
        margin=terms.margin,
        exposure_column=terms.exposure_column,
        without_exposure=int((~kept_to_choose).sum() + (~kept_to_test).sum()),
        choice=choice,
        outcome=outcome_at(choice.cutoff, y, scores, terms=terms, exposure=tested_on),
        operating=outcome_at(policy.cutoff, y, scores, terms=terms, exposure=tested_on),
        curve=tuple(approval_curve(y, scores, terms=terms, exposure=tested_on)),
        bands=tuple(score_bands(test.y, test.calibrated)),
    )


def _exposure(
    plan: TrainingPlan, positions: NDArray[np.int64], name: str | None
) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
    """Exposures above 0 of some rows, and which rows have one; None and all where none is declared."""
    if name is None or name not in plan.dataset.frame.columns:
        return None, np.ones(len(positions), bool)
    amounts = plan.dataset.frame[name].iloc[positions].to_numpy(np.float64)
    kept = np.isfinite(amounts) & (amounts > 0)
    return (amounts[kept], kept) if kept.any() else (None, np.ones(len(positions), bool))


def fairness_facts(plan: TrainingPlan, trained: Trained, policy: ReviewPolicy) -> FairnessFacts:
    """Compare the groups of each protected attribute on the test rows, at the operating cut-off."""
    profile, test = policy.profile, trained.test
    attributes: tuple[AttributeFairness, ...] = ()
    groups: dict[str, Sequence[object]] = {}
    if profile.fairness_mode is not FairnessMode.OFF:
        groups = {each.name: _groups(plan, each) for each in plan.schema.protected if _is_there(plan, each)}
        features = {
            each.name: _codes(plan, each)
            for each in plan.schema.columns
            if each.is_feature and _is_there(plan, each)
        }
        labels = {each.name: each.labels for each in plan.schema.protected}
        attributes = tuple(
            fairness_of(
                name,
                test.y,
                test.calibrated,
                members,
                cutoff=policy.cutoff,
                minimum_rows=profile.minimum_group_rows,
                minimum_ratio=profile.minimum_ratio,
                labels=labels[name],
                proxies=likely_proxies(members, features),
            )
            for name, members in groups.items()
        )
    return FairnessFacts(
        mode=profile.fairness_mode,
        minimum_ratio=profile.minimum_ratio,
        minimum_group_rows=profile.minimum_group_rows,
        attributes=attributes,
        alternatives=_alternatives(trained, policy, groups),
    )


def _alternatives(
    trained: Trained, policy: ReviewPolicy, groups: Mapping[str, Sequence[object]]
) -> tuple[Alternative, ...]:
    """The model and logistic regression at several cut-offs; empty without a group that can be compared."""
    test, found = trained.test, []
    for name, scores in (("this model", test.calibrated), ("logistic regression", test.baseline)):
        at = {
            policy.cutoff,
            *(float(each) for each in np.quantile(scores, _ALTERNATIVE_RATES, method="inverted_cdf")),
        }
        for tried in sorted(at):
            ratios = [
                fairness_of(
                    attribute,
                    test.y,
                    scores,
                    members,
                    cutoff=tried,
                    minimum_rows=policy.profile.minimum_group_rows,
                    minimum_ratio=policy.profile.minimum_ratio,
                ).lowest_ratio
                for attribute, members in groups.items()
            ]
            known = [ratio for ratio in ratios if ratio is not None]
            if not known:
                continue
            outcome = outcome_at(tried, test.y, scores, terms=policy.terms)
            found.append(
                Alternative(
                    model=name,
                    cutoff=tried,
                    approval_rate=outcome.approval_rate,
                    auc=auc(test.y, scores),
                    lowest_ratio=min(known),
                    profit=outcome.profit,
                )
            )
    return tuple(found)


def _is_there(plan: TrainingPlan, column: Column) -> bool:
    return column.name in plan.dataset.frame.columns


def _groups(plan: TrainingPlan, column: Column) -> Sequence[object]:
    """Group of each test row: the level, or for a number its band; times are no groups, all are one."""
    values = plan.dataset.frame[column.name].iloc[plan.split.test]
    if column.kind is Kind.NUMERICAL:
        return banded(values.to_numpy(np.float64), unit=column.unit)
    return plain_levels(values) if column.is_coded else [None] * len(values)


def _codes(plan: TrainingPlan, column: Column) -> Sequence[object]:
    """Code of each test row in a feature: the level, or for a number its tenth of the rows."""
    values = plan.dataset.frame[column.name].iloc[plan.split.test]
    if column.is_coded:
        return plain_levels(values)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    known = numbers[np.isfinite(numbers)]
    if len(known) == 0:
        return [None] * len(numbers)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, 11)[1:-1]))
    at = np.searchsorted(edges, numbers, side="right")
    return [str(place) if np.isfinite(number) else None for place, number in zip(at, numbers, strict=True)]


def plain_levels(values: "pd.Series[str]") -> list[object]:
    """Return levels as text, None for missing ones."""
    return [None if pd.isna(value) else str(value) for value in values]
