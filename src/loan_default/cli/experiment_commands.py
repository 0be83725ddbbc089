"""`loan-default challenge`: a challenger beside the champion, with a share of the applicants or in shadow."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from loan_default.cli.console import make_console, say, user_name
from loan_default.cli.options import AsJson
from loan_default.errors import ConfigurationError
from loan_default.wiring import open_database, start

if TYPE_CHECKING:
    from loan_default.database.experiment_documents import Experiment
    from loan_default.evaluation.live_comparison import Estimate
    from loan_default.serving.experiment_status import ExperimentStatus

Challenger = Annotated[
    str, typer.Argument(help="Version of the challenger (its beginning will do), or stop, or status.")
]
Share = Annotated[
    str | None, typer.Option(help="Share of the applicants whom the challenger answers, as 10% or 0.1.")
]
Shadow = Annotated[bool, typer.Option("--shadow", help="Score beside the champion, whose answers stand.")]
By = Annotated[str | None, typer.Option(help="Who answers for it. Default: the user of this machine.")]
Reason = Annotated[str | None, typer.Option(help="Why, for those who read it later. Default: none.")]
Cutoff = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="For status: PD up to which a loan is approved. Default: LOAN_DEFAULT_CUTOFF."
    ),
]
Named = Annotated[
    str | None, typer.Option("--experiment", help="For status: id of an experiment. Default: the last one.")
]


def challenge(
    version: Challenger,
    share: Share = None,
    shadow: Shadow = False,
    by: By = None,
    reason: Reason = None,
    cutoff: Cutoff = None,
    experiment: Named = None,
    as_json: AsJson = False,
) -> None:
    """Start an experiment, let its share grow, stop it, or compare the two models on what is known.

    [bold]Try[/]

        loan-default challenge 20261129 --shadow        # kept beside each answer, and returned to nobody

        loan-default challenge 20261129 --share 10%     # answers for a tenth of the applicants; may grow

        loan-default challenge status                   # too little is inconclusive, never a win

        loan-default challenge stop
    """
    if version == "status":
        _status(cutoff, experiment, as_json=as_json)
    elif version == "stop":
        _stop(_named(by), as_json=as_json)
    else:
        _start(version, share, shadow=shadow, by=_named(by), reason=reason, as_json=as_json)


def read_share(text: str) -> float:
    """Return the share that a person typed, from 0 to 1; ConfigurationError where it is none."""
    number, is_percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        share = float(number) / (100 if is_percent else 1)
    except ValueError:
        share = float("nan")
    if not 0 < share <= 1:
        raise ConfigurationError(
            f"--share must be above 0 % and at most 100 %, however: {text!r}. Write 10% or 0.1."
        )
    return share


def _named(by: str | None) -> str:
    """Who answers for it: the name that was given, else that of the user."""
    name = by or user_name()
    if name is None:
        raise ConfigurationError(
            "somebody must answer for an experiment, however: this machine has no name for its user. Give "
            "--by NAME."
        )
    return name


def _start(
    version: str, share: str | None, *, shadow: bool, by: str, reason: str | None, as_json: bool
) -> None:
    from loan_default.database.experiment_documents import Mode
    from loan_default.serving.experiments import challenge as begin

    if share is None and not shadow:
        raise ConfigurationError("an experiment must have --share or --shadow, however: neither is given.")
    console, settings = make_console(), start()
    with open_database(settings) as database:
        experiment = begin(
            database,
            version,
            mode=Mode.SHADOW if shadow else Mode.SHARE,
            share=1.0 if share is None else read_share(share),
            by=by,
            now=datetime.now(UTC),
            reason=reason,
        )
    if as_json:
        typer.echo(experiment.model_dump_json(indent=2))
        return
    say(console, "experiment", _in_words(experiment))
    if experiment.planned_outcomes is not None:
        planned = f"{experiment.planned_outcomes:,} outcomes to find a lead of 0.01 AUC with a power of 80 %"
        say(console, "planned", planned)
    say(console, "next", "scorers take it within 5 seconds; `loan-default challenge status` compares the two")


def _stop(by: str, *, as_json: bool) -> None:
    from loan_default.serving.experiments import stop

    console, settings = make_console(), start()
    with open_database(settings) as database:
        experiment = stop(database, by=by, now=datetime.now(UTC))
    if as_json:
        typer.echo(experiment.model_dump_json(indent=2))
    else:
        say(console, "stopped", _in_words(experiment))


def _status(cutoff: float | None, experiment: str | None, *, as_json: bool) -> None:
    from loan_default.pipelines.layout import TRAINING_STORE
    from loan_default.serving.experiment_status import experiment_status

    console, settings = make_console(), start()
    with open_database(settings) as database:
        status = experiment_status(
            database,
            store=settings.home / TRAINING_STORE,
            schema=settings.schema_file,
            experiment=experiment,
            cutoff=settings.cutoff if cutoff is None else cutoff,
        )
    if as_json:
        typer.echo(json.dumps(status.to_dict(), indent=2))
        return
    say(
        console, "experiment", f"{_in_words(status.experiment)}{'' if status.is_running else ', not running'}"
    )
    for group, scored in status.scored.items():
        say(console, group, f"{scored:,} applications, {status.outcomes[group]:,} outcomes known")
    if status.experiment.planned_outcomes is not None:
        say(console, "planned", f"{status.experiment.planned_outcomes:,} outcomes to find a lead of 0.01 AUC")
    console.print(_measures_table(status))
    say(console, "", "auc and brier: intervals that hold at all looks together; the others hold at one look")
    if status.score_psi is not None:
        say(console, "score PSI", f"{status.score_psi:.3f}")
    if status.agreement is not None:
        found = status.agreement
        say(
            console,
            "agreement",
            f"{_shown(found.agree)} at a PD of {status.cutoff * 100:.4g}%; approved by the champion alone "
            f"{found.only_champion_approves:,}, by the challenger alone {found.only_challenger_approves:,}",
        )
    say(console, "conclusion", str(status.conclusion))


def _measures_table(status: "ExperimentStatus") -> Table:
    table = Table("measure", "champion", "challenger", "difference (95 %)", "better")
    for each in status.measures:
        table.add_row(
            each.name.replace("_", " "),
            _shown(each.champion),
            _shown(each.challenger),
            _shown(each.difference),
            f"{each.conclusion or ''}{': ' if each.note else ''}{each.note}",
        )
    return table


def _shown(estimate: "Estimate | None") -> str:
    return "" if estimate is None else f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"


def _in_words(experiment: "Experiment") -> str:
    share, since = f"{experiment.share * 100:.4g} %", f"{experiment.started_at:%Y-%m-%d %H:%M}"
    return (
        f"{experiment.id}: {experiment.challenger} against {experiment.champion}, {experiment.mode} of "
        f"{share}, by {experiment.started_by} since {since}"
    )
