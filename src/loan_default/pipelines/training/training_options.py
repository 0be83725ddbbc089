"""The options of a training: the one list that commands, DAG parameters and Airflow's API are made of.

DAG files import this when they are parsed, and every command when it starts: so it imports neither torch nor
pandas.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from loan_default.choices import (
    DEVICES,
    OBJECTIVES,
    PRESETS,
    REJECT_METHODS,
    DeviceName,
    Objective,
    PresetName,
    RejectMethod,
)
from loan_default.errors import ConfigurationError
from loan_default.option_lists import parse_list

if TYPE_CHECKING:  # pydantic comes with it
    from loan_default.database.documents import TrainingData

SplitName = Literal["stratified", "out of time", "for good"]
"""How rows are split. The names stand in the provenance of models."""
PERMANENT_HOLDOUT: SplitName = "for good"
"""Rows of the training store are split by their content, so that test rows remain test rows as it grows."""

HeaderName = Literal["none", "first"]
"""What a person says of the header of a file: it has none, or it is the first line."""
HEADERS: Mapping[HeaderName | None, bool | None] = {None: None, "none": False, "first": True}
"""That, as readers take it; None = it is found out."""
DELIMITER_WORDS: Mapping[str, str] = {
    "comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "pipe": "|",
    "blank": " ", "space": " ",
}  # fmt: skip
"""Words for delimiters: some cannot be typed well in a shell."""

REJECT_FACTOR = 1.3
"""How many times as often rejects default as accepted rows of the same band, where parcelling names none."""
LARGEST_REJECT_FACTOR = 100
"""Beyond it all rejects would default in any band."""
SEEDS = 2**32
_MOST_SCHEDULED = 1_000
"""Epochs and members of a scheduled run at most: a typing error should not occupy the machine for days."""


@dataclass(frozen=True, slots=True)
class FileData:
    """Train on the rows of a file."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreData:
    """Train on the applications of the training store."""

    folder: Path
    snapshot: "TrainingData | None" = None
    """Which rows of the store; None = all that are there."""
    maturity_days: int = 0
    """Age from which on a label counts."""

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """How an option is shown to a person, and which values it takes."""

    kind: Literal["boolean", "integer", "number", "name", "text", "list", "file", "timestamp"]
    """`list`: values with commas between them, as `option_lists` reads them."""
    text: str
    panel: str = ""
    """Heading in the help of the command."""
    unset: str = ""
    """What None means, in words; "" = the option is never None."""
    names: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    """Largest value that a scheduled run may ask for."""
    scheduled: bool = True
    """Whether a scheduled run has it too: one has a store, a machine and a folder of its own."""
    default: bool | float | str | None = None


_PARAMETER = "parameter"
"""Key of a field's metadata."""


def _shown(**parameter: Any) -> dict[str, Parameter]:
    """The metadata of a field that a person sets by an option of `train` or by a parameter of the DAG."""
    return {_PARAMETER: Parameter(**parameter)}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingOptions:
    """What a person can choose for a run; None = as the preset says.

    Raises:
        ConfigurationError: the options contradict each other, or a number is out of range.
    """

    data: FileData | StoreData
    pretrain: bool = field(
        default=True,
        metadata=_shown(kind="boolean", panel="What to do", text="Pretrain an encoder without labels."),
    )
    train: bool = field(
        default=True,
        metadata=_shown(
            kind="boolean", panel="What to do", text="Train and calibrate a classifier.", scheduled=False
        ),
    )
    target: str | None = field(
        default=None,
        metadata=_shown(
            kind="text",
            panel="Data",
            text="Column that says who defaulted. Needed without a schema.",
            scheduled=False,
        ),
    )
    bad: str | None = field(
        default=None,
        metadata=_shown(
            kind="list",
            panel="Data",
            text='Values of the target that mean default, such as "Charged Off,Default".',
            unset="what its name and values say",
            scheduled=False,
        ),
    )
    good: str | None = field(
        default=None,
        metadata=_shown(
            kind="list",
            panel="Data",
            text="Values that mean a good end. With both, every other value means not known yet.",
            unset="the other one of two values",
            scheduled=False,
        ),
    )
    rejected: str | None = field(
        default=None,
        metadata=_shown(
            kind="list",
            panel="Data",
            text='Values of the target of applications that were declined, such as "Declined,Refused".',
            unset="none",
            scheduled=False,
        ),
    )
    schema: Path | None = field(
        default=None,
        metadata=_shown(
            kind="file",
            panel="Data",
            text="Schema file.",
            unset="inferred, printed and saved",
            scheduled=False,
        ),
    )
    header: HeaderName | None = field(
        default=None,
        metadata=_shown(
            kind="name",
            panel="Data",
            text="none = the file has no header, its columns are column_1, column_2, …; first = it has one.",
            unset="found out from the file",
            names=tuple(HEADERS)[1:],
            scheduled=False,
        ),
    )
    sheet: str | None = field(
        default=None,
        metadata=_shown(
            kind="text",
            panel="Data",
            text="Sheet of a workbook.",
            unset="the only one with rows",
            scheduled=False,
        ),
    )
    delimiter: str | None = field(
        default=None,
        metadata=_shown(
            kind="text",
            panel="Data",
            text="Character between the fields of a text file, or comma, semicolon, tab, bar or blank.",
            unset="found out from the file",
            scheduled=False,
        ),
    )
    encoding: str | None = field(
        default=None,
        metadata=_shown(
            kind="text",
            panel="Data",
            text="Encoding of a text file, such as utf-8, cp1250 or shift_jis.",
            unset="found out from the file",
            scheduled=False,
        ),
    )
    known_after_decision: str | None = field(
        default=None,
        metadata=_shown(
            kind="list",
            panel="Data",
            text="Columns that are known too late to be features.",
            unset="none",
            scheduled=False,
        ),
    )
    allow_leaks: bool = field(
        default=False,
        metadata=_shown(
            kind="boolean",
            panel="Data",
            text="Go on with columns that nearly decide the outcome by themselves.",
        ),
    )
    out_of_time: bool = field(
        default=False,
        metadata=_shown(
            kind="boolean",
            panel="Data",
            text="Test on the latest applications instead of on random ones.",
        ),
    )
    preset: PresetName = field(
        default="default",
        metadata=_shown(
            kind="name",
            panel="Model",
            text="On the bundled data, minutes on two cores: fast 1, default 7.",
            names=PRESETS,
        ),
    )
    members: int | None = field(
        default=None,
        metadata=_shown(
            kind="integer",
            panel="Model",
            text="Networks to average.",
            unset="the preset's",
            minimum=1,
            maximum=_MOST_SCHEDULED,
        ),
    )
    with_trees: bool = field(
        default=False,
        metadata=_shown(
            kind="boolean",
            panel="Model",
            text="Average the networks with boosted trees, fitted by LightGBM.",
        ),
    )
    objective: Objective | None = field(
        default=None,
        metadata=_shown(
            kind="name",
            panel="Pretraining",
            text="What pretraining optimises.",
            unset="detection",
            names=OBJECTIVES,
        ),
    )
    pretraining_epochs: int | None = field(
        default=None,
        metadata=_shown(
            kind="integer",
            panel="Pretraining",
            text="Passes of pretraining.",
            unset="the preset's",
            minimum=1,
            maximum=_MOST_SCHEDULED,
        ),
    )
    encoder: Path | None = field(
        default=None,
        metadata=_shown(
            kind="file",
            panel="Pretraining",
            text="Start from this pretrained encoder instead.",
            scheduled=False,
        ),
    )
    epochs: int | None = field(
        default=None,
        metadata=_shown(
            kind="integer",
            panel="Training",
            text="Passes of training at most.",
            unset="by preset and rows",
            minimum=1,
            maximum=_MOST_SCHEDULED,
        ),
    )
    reject_inference: RejectMethod = field(
        default="none",
        metadata=_shown(
            kind="name",
            panel="Training",
            text="Learn from rejected applications too, with inferred outcomes. The report says what it "
            "assumes.",
            names=REJECT_METHODS,
            scheduled=False,
        ),
    )
    reject_factor: float | None = field(
        default=None,
        metadata=_shown(
            kind="number",
            panel="Training",
            text="Parcelling: how many times as often rejects default as accepted rows of the same band.",
            unset=f"{REJECT_FACTOR}",
            scheduled=False,
        ),
    )
    refit: bool = field(
        default=True,
        metadata=_shown(
            kind="boolean",
            panel="Training",
            text="Once the model is measured, train it anew on all labels.",
        ),
    )
    seed: int = field(
        default=0,
        metadata=_shown(
            kind="integer", panel="Training", text="Same seed, same model.", minimum=0, maximum=SEEDS - 1
        ),
    )
    device: DeviceName = field(
        default="auto",
        metadata=_shown(
            kind="name",
            panel="Training",
            text="auto takes a GPU where there is one.",
            names=DEVICES,
            scheduled=False,
        ),
    )
    resume: bool = field(
        default=False,
        metadata=_shown(
            kind="boolean",
            panel="Training",
            text="Go on where an interrupted run stopped.",
            scheduled=False,
        ),
    )

    def __post_init__(self) -> None:
        if not self.pretrain and not self.train:
            raise ConfigurationError(
                "a run must do something, however: neither --pretrain nor --train is given. For both, type "
                "train.py --pretrain --train"
            )
        if self.encoder is not None and self.pretrain:
            raise ConfigurationError(
                "--encoder must come without --pretrain, however: both are given. Leave --pretrain out to "
                f"start from {self.encoder.name}."
            )
        for name in ("epochs", "pretraining_epochs", "members"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(f"--{name.replace('_', '-')} must be at least 1, however: {value}")
        self._check_rejects()
        for name in LISTS:
            if (text := getattr(self, name)) is not None:
                parse_list(text, option=flag_of(name))
        read_delimiter(self.delimiter)
        read_encoding(self.encoding)
        if not 0 <= self.seed < SEEDS:
            raise ConfigurationError(f"--seed must be at least 0 and below 2^32, however: {self.seed}")

    def _check_rejects(self) -> None:
        if self.reject_factor is not None:
            if self.reject_inference != "parcelling":
                raise ConfigurationError(
                    "--reject-factor must come with --reject-inference parcelling, however: "
                    f"--reject-inference={self.reject_inference}. Leave one of them out."
                )
            if not 1 <= self.reject_factor <= LARGEST_REJECT_FACTOR:
                raise ConfigurationError(
                    f"--reject-factor must be a number from 1 to {LARGEST_REJECT_FACTOR}, however: "
                    f"{self.reject_factor}"
                )
        if isinstance(self.data, StoreData) and (self.rejected or self.reject_inference != "none"):
            raise ConfigurationError(
                "--rejected and --reject-inference must come with a file, however: --data is the training "
                "store, which does not keep why a row has no outcome. Train on a file, or leave them out."
            )

    @property
    def infers_rejects(self) -> bool:
        """Whether the run learns from rejected applications with inferred outcomes."""
        return self.train and self.reject_inference != "none"

    @property
    def factor_of_rejects(self) -> float | None:
        """The factor of parcelling; None = the run does none."""
        if self.reject_inference != "parcelling":
            return None
        return REJECT_FACTOR if self.reject_factor is None else self.reject_factor

    def values(self, name: str) -> tuple[str, ...]:
        """The values that a list option names; empty = it is not given."""
        text = getattr(self, name)
        return () if text is None else parse_list(text, option=flag_of(name))

    @property
    def split(self) -> SplitName:
        """How the rows are split into training, validation and test rows.

        The training store grows, and models that were trained on it are compared: its test rows are a
        permanent holdout.
        """
        if self.out_of_time:
            return "out of time"
        return PERMANENT_HOLDOUT if isinstance(self.data, StoreData) else "stratified"


PARAMETERS: Mapping[str, Parameter] = {
    option.name: replace(option.metadata[_PARAMETER], default=option.default)
    for option in fields(TrainingOptions)
    if _PARAMETER in option.metadata
}
"""Name of an option -> how it is shown, in the order in which help lists them; all but the data."""


def flag_of(name: str) -> str:
    """The option of a command: --allow-leaks of allow_leaks."""
    return f"--{name.replace('_', '-')}"


def read_delimiter(text: str | None) -> str:
    """The character that --delimiter names; "" = it is not given.

    Raises:
        ConfigurationError: it is neither one character nor a word for one.
    """
    if text is None:
        return ""
    character = DELIMITER_WORDS.get(text.lower(), text)
    if len(character) != 1 or character in '\r\n"':
        raise ConfigurationError(
            f"--delimiter must be one character, or comma, semicolon, tab, bar or blank, however: {text!r}"
        )
    return character


def read_encoding(text: str | None) -> str:
    """The encoding that --encoding names; "" = it is not given.

    Raises:
        ConfigurationError: Python knows none of this name.
    """
    if text is None:
        return ""
    try:
        "a".encode(text)
    except (LookupError, UnicodeError):  # of no text, or the one that fails always
        raise ConfigurationError(
            f"--encoding must be one that Python knows, such as utf-8, cp1250 or shift_jis, however: {text!r}"
        ) from None
    return text


LISTS = tuple(name for name, parameter in PARAMETERS.items() if parameter.kind == "list")
"""Options that name several values."""

SCHEDULED_PARAMETERS: Mapping[str, Parameter] = {
    **{name: parameter for name, parameter in PARAMETERS.items() if parameter.scheduled},
    "preset": replace(PARAMETERS["preset"], default=None, unset="LOAN_DEFAULT_PRESET"),
    "since": Parameter(kind="timestamp", text="Train on applications from then on.", unset="all"),
    "until": Parameter(kind="timestamp", text="Train on applications before then.", unset="all"),
}
"""What a person can choose for a scheduled run, by a parameter of the DAG or by a message on `commands`."""


def json_schema(parameter: Parameter) -> dict[str, Any]:
    """The values that a parameter takes, as the keywords of a JSON schema."""
    if parameter.kind == "name":
        return {"enum": [*([None] if parameter.unset else []), *parameter.names]}
    type_name = "string" if parameter.kind in ("timestamp", "text", "list") else parameter.kind
    schema: dict[str, Any] = {"type": ["null", type_name] if parameter.unset else type_name}
    if parameter.kind == "timestamp":
        schema["format"] = "date-time"
    if parameter.minimum is not None:
        schema["minimum"] = parameter.minimum
    if parameter.maximum is not None:
        schema["maximum"] = parameter.maximum
    return schema
