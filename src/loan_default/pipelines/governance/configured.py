"""The thresholds and policies that are really configured, with their meaning as the settings document it."""

import re

from loan_default import settings as documented
from loan_default.settings import Settings

_PREFIX = "LOAN_DEFAULT_"
_WATCHED = re.compile(
    r"minimum_|maximum_|drift_|retrain_|gate_|demand|approval|cooldown|cutoff|segments|maturity_days"
    r"|prediction_days|policy_profile|loss_given_default|margin|exposure_column|stream_reasons|training_"
)
"""Settings by their beginning that decide when a model is promoted, watched or trained again."""


def configured_thresholds(settings: Settings) -> list[dict[str, str]]:
    """Variable, value and meaning of each setting that decides about models; no address and no password."""
    meanings = documented_meanings()
    listed = []
    for name in Settings.model_fields:
        if not _WATCHED.match(name) or name.endswith(("_password", "_username", "_key", "_uri")):
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


def documented_meanings() -> dict[str, str]:
    """Variable -> its meaning in the table of the settings."""
    found = {}
    for line in (documented.__doc__ or "").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if len(cells) == 3 and "`" in cells[0]:
            for variable in re.findall(r"`([A-Z_]+)`", cells[0]):
                found[variable] = cells[2]
    return found
