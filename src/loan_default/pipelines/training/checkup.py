"""Whether a file can be trained on as it is: what a training would find before its work, and no more."""

from dataclasses import dataclass
from enum import StrEnum

from loan_default.data.schema.inference.findings import ColumnReading, Finding, Severity, rows_in_words
from loan_default.data.schema.inference.outcome_words import (
    is_conventional_name,
    is_status_name,
    meaning_of_name,
)
from loan_default.data.sources.table_files import infer_schema
from loan_default.errors import ConfigurationError, DataError
from loan_default.pipelines.training.command_lines import schema_command, training_command
from loan_default.pipelines.training.leak_questions import weights_by_name
from loan_default.pipelines.training.plan import TrainingPlan, find_format, plan_training
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import FileData, TrainingOptions

_MOST_LEVELS = 12
"""Levels of a column that may be the outcome."""
_MOST_RULES = 5
"""Broken rules that are shown."""


class Verdict(StrEnum):
    """What a file needs before it is trained on."""

    READY = "ready"
    READY_WITH_WARNINGS = "ready with warnings"
    NEEDS_AN_ANSWER = "needs an answer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkup:
    """What a training would find in a file before its work."""

    verdict: Verdict
    plan: TrainingPlan | None = None
    """What a training would do; None = it would stop with the question."""
    warnings: tuple[Finding, ...] = ()
    """What to look at, the most urgent first."""
    question: str = ""
    """What must be answered, with the options or lines that do; empty = nothing."""


def check_up(options: TrainingOptions, *, watch: Stopwatch) -> Checkup:
    """Read, check and split the data as a training does, and say whether it could go on.

    Raises:
        ConfigurationError: the machine, or an option that is not about the data, is unusable.
    """
    if options.target is None and options.schema is None and isinstance(options.data, FileData):
        return Checkup(verdict=Verdict.NEEDS_AN_ANSWER, question=_which_target(options, options.data))
    try:
        plan = plan_training(options, watch=watch)
    except (ConfigurationError, DataError) as error:
        return Checkup(verdict=Verdict.NEEDS_AN_ANSWER, question=str(error))
    warnings = tuple(_warnings_of(plan))
    if questions := _open_questions(plan, options):
        return Checkup(
            verdict=Verdict.NEEDS_AN_ANSWER,
            plan=plan,
            warnings=warnings,
            question=_with_ways_out(questions, options),
        )
    verdict = Verdict.READY_WITH_WARNINGS if warnings else Verdict.READY
    return Checkup(verdict=verdict, plan=plan, warnings=warnings)


def _open_questions(plan: TrainingPlan, options: TrainingOptions) -> list[Finding]:
    """What can be read in several ways and has not been settled by an option."""
    settled = set(options.values("known_after_decision"))
    if options.allow_leaks:
        settled.update(weights_by_name(plan.schema))
    return [
        each
        for each in plan.schema_choice.findings
        if each.severity is Severity.QUESTION and each.column not in settled
    ]


def _with_ways_out(questions: list[Finding], options: TrainingOptions) -> str:
    """The questions with the commands that answer them."""
    lines = [f"{each.column}: {each.message}" if each.column else each.message for each in questions]
    if isinstance(options.data, FileData):
        write, train = schema_command(options, options.data), training_command(options, options.data)
        lines.append(
            f"Write the answer into a schema (`{write}`) and train with --schema schema.toml. "
            f"`{train}` trains as it is, with a warning."
        )
    return "\n".join(lines)


def _warnings_of(plan: TrainingPlan) -> list[Finding]:
    """Findings that ask for a look, rows that are lost to the quarantine, and columns that say very much."""
    found = [each for each in plan.schema_choice.findings if each.severity is Severity.WARNING]
    if quarantined := len(plan.dataset.quarantined):
        rules = list(plan.dataset.reasons.items())
        shown = ", ".join(f"{rule} ({rows:,})" for rule, rows in rules[:_MOST_RULES])
        more = f", … ({len(rules)} rules in all)" if len(rules) > _MOST_RULES else ""
        found.append(
            Finding("", Severity.WARNING, f"{rows_in_words(quarantined)} quarantined: {shown}{more}")
        )
    found += [Finding(leak.column, Severity.WARNING, leak.evidence) for leak in plan.leaks.leaks]
    return found


def _which_target(options: TrainingOptions, data: FileData) -> str:
    """The question which column says who defaulted, with those that may."""
    try:
        columns = infer_schema(data.path, target=None, form=find_format(options)).columns
    except (ConfigurationError, DataError) as error:
        return str(error)
    likely = [each.name for each in columns if _may_be_outcome(each)]
    few = [each.name for each in columns if each.name not in likely and _has_few_levels(each)]
    lines = [f"a column must say who defaulted, however: none is named. Add --target COLUMN for {data.name}."]
    if likely:
        lines.append(f"Likely by their names: {', '.join(likely)}.")
    if few:
        lines.append(f"Others with few values: {', '.join(few)}.")
    return "\n".join(lines)


def _may_be_outcome(reading: ColumnReading) -> bool:
    name = reading.name
    named_so = bool(meaning_of_name(name)) or is_conventional_name(name) or is_status_name(name)
    return named_so and _has_few_levels(reading)


def _has_few_levels(reading: ColumnReading) -> bool:
    levels = len(reading.column.categories) if reading.column is not None else 0
    # A column of numbers shows three samples where it has three.
    return 2 <= levels <= _MOST_LEVELS or (levels == 0 and len(reading.samples) == 2)
