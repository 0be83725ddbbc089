"""What a person can choose for a training by name, and what a run has decided by itself."""

from dataclasses import dataclass
from typing import Literal, get_args

PresetName = Literal["fast", "default"]
"""How much time a better model is worth."""
Objective = Literal["detection", "nt-xent", "both"]
"""What pretraining optimises."""
RejectMethod = Literal["none", "fuzzy", "parcelling"]
"""How outcomes of rejected applications are inferred."""
CalibrationMethod = Literal["none", "level", "platt", "beta", "quadratic"]

DeviceName = Literal["auto", "cpu", "cuda"]
"""Where to compute; `auto` takes a GPU where there is one."""

ReferenceMethod = Literal["all", "cut-off"]
"""Against whom a PD is explained: all applicants, or those who are just approved."""

PRESETS: tuple[PresetName, ...] = get_args(PresetName)
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
REJECT_METHODS: tuple[RejectMethod, ...] = get_args(RejectMethod)
DEVICES: tuple[DeviceName, ...] = get_args(DeviceName)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Something that a run has decided by itself, with the reason that is printed and reported."""

    what: str
    value: str
    reason: str
