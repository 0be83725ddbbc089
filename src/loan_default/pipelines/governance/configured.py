"""The thresholds and policies that are really configured, with their meaning as the settings document it."""

import re
from dataclasses import fields
from typing import Any

from loan_default import settings as documented
from loan_default.evaluation.drift import DriftLimits
from loan_default.pipelines.monitoring.champion_hours import FURTHEST
from loan_default.pipelines.monitoring.realised_performance import MOST_DAYS
from loan_default.settings import Settings
from loan_default.thresholds import DriftPolicy, GatePolicy, Thresholds

_PREFIX = "LOAN_DEFAULT_"
_WATCHED = re.compile(
    r"maturity_days|prediction_days|policy_profile|loss_given_default|margin|exposure_column|stream_reasons"
    r"|materiality"
)
"""Settings by their beginning that decide about models, beside those of the gate and of drift."""
_DECIDING = frozenset(field.name for part in (Thresholds, GatePolicy, DriftPolicy) for field in fields(part))


def configured_thresholds(settings: Settings) -> list[dict[str, str]]:
    """Variable, value and meaning of each setting that decides about models; no address and no password."""
    meanings = documented_meanings()
    listed = []
    for name in Settings.model_fields:
        if not (name in _DECIDING or _WATCHED.match(name)) or name.endswith(
            ("_password", "_username", "_key", "_uri")
        ):
            continue
        variable = f"{_PREFIX}{name.upper()}"
        value = getattr(settings, name)
        shown = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        listed.append(
            {
                "variable": variable,
                "value": "none" if value is None or shown == "" else shown,
                "meaning": meanings[variable],
            }
        )
    return listed


def watched_measures(settings: Settings) -> list[dict[str, Any]]:
    """What is watched of a model in service: the measure, its window, and the limits in force."""
    policy, limits = settings.drift_policy, DriftLimits()
    arrivals = (
        f"hourly: the last {policy.drift_rows:,} applications, of {FURTHEST.days} days at most, and no fewer "
        f"than {limits.fewest_rows:,}"
    )
    outcomes = f"hourly: predictions of {MOST_DAYS} days whose outcomes have come"
    measures = (
        ("PSI of the score and of each column", arrivals, (policy.drift_warning, policy.drift_action)),
        ("Share of missing values and of unknown categories, against training", arrivals, limits.rate),
        ("Mean PD against training, as a share of it", arrivals, limits.mean_pd),
        ("Approval rate against training", arrivals, limits.approval),
        ("Default rate against the PDs, as a share of them", outcomes, limits.mean_pd),
        ("Fall of the AUC below what the PDs promise", outcomes, limits.auc),
    )
    return [
        {"what": what, "window": window, "warns": warns, "acts": acts}
        for what, window, (warns, acts) in measures
    ]


def documented_meanings() -> dict[str, str]:
    """Variable -> its meaning in the table of the settings."""
    found = {}
    for line in (documented.__doc__ or "").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if len(cells) == 3 and "`" in cells[0]:
            for variable in re.findall(r"`([A-Z_]+)`", cells[0]):
                found[variable] = cells[2].replace("`", "")
    return found
