"""`loan-default evaluate`, `promote` and `rollback`: what the evaluation DAG does, by hand and by name."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer
from rich.table import Table
from rich.text import Text

from loan_default.cli.console import ExitCode, make_console, say, user_name
from loan_default.cli.options import AsJson, IngestionSchemaFile
from loan_default.errors import ConfigurationError, DataError
from loan_default.settings import Settings
from loan_default.wiring import open_services, review_policy_of, start

if TYPE_CHECKING:
    from loan_default.database.control_documents import Decision
    from loan_default.pipelines.promotion.evaluation_run import EvaluationRun

Waiting = Annotated[
    str | None,
    typer.Argument(
        help="Version, or the beginning of one. Default: the newest that waits, else the champion."
    ),
]
Named = Annotated[str, typer.Argument(help="Version, or the beginning of one.")]
Former = Annotated[
    str | None,
    typer.Argument(help="Version, or the beginning of one. Default: the champion before the present one."),
]
Approver = Annotated[str | None, typer.Option(help="Name of who approves it. Default: nobody does.")]
Reason = Annotated[str | None, typer.Option(help="Why, for those who read it later.")]
Expires = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Day (UTC) on which the approval ceases to hold."),
]
Override = Annotated[
    list[str] | None,
    typer.Option(help="Rule that the model may break; may be repeated. None of the artefact and the data."),
]
Replaces = Annotated[
    str | None, typer.Option(help="Champion that may be replaced where the two cannot be compared.")
]
By = Annotated[str, typer.Option(help="Name of who answers for it.")]
Because = Annotated[str, typer.Option(help="Why, for those who read it later.")]


def evaluate(version: Waiting = None, schema: IngestionSchemaFile = None, as_json: AsJson = False) -> None:
    """Check a model by every rule of the gate; nothing is decided, and no model moves.

    The exit code is 6 where the gate refuses it.
    """
    from loan_default.pipelines.promotion import comparison
    from loan_default.pipelines.promotion.candidates import choose_model

    settings = start()
    with _evaluation_run(settings, schema) as run:
        chosen = choose_model(run, version=None if version is None else _full(run, version)).chosen
        if chosen is None:
            raise ConfigurationError(
                "a model must be registered before it is evaluated, however: none waits and there is no "
                "champion. Train one with train.py --pretrain --train."
            )
        _bring_up_to_date(run)
        evaluated = comparison.evaluate_model(run, chosen)
        verdict = comparison.check_thresholds(run, evaluated)
    if as_json:
        found = {
            "version": evaluated.version,
            "passed": verdict.passed,
            "champion": evaluated.champion,
            "metrics": evaluated.metrics,
            "snapshot": evaluated.snapshot,
            "rows": evaluated.rows,
            "approval": verdict.approval,
            "rules": [rule.to_dict() for rule in verdict.rules],
            "reasons": list(verdict.reasons),
            "broken": list(verdict.broken),
        }
        typer.echo(json.dumps(found, indent=2))
    else:
        console = make_console()
        console.print(rules_table([rule.to_dict() for rule in verdict.rules]))
        for reason in verdict.broken:
            say(console, "", reason, style="yellow")
        outcome = "passes the gate" if verdict.passed else "is refused by the gate"
        say(console, "evaluated", f"{evaluated.version} {outcome} ({evaluated.rows})")
    if not verdict.passed:
        raise typer.Exit(ExitCode.REJECTED)


def promote(
    version: Named,
    approver: Approver = None,
    reason: Reason = None,
    expires: Expires = None,
    override: Override = None,
    replaces: Replaces = None,
    schema: IngestionSchemaFile = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model, decide, and make it the champion if the gate lets it pass.

    An approval is stored before the model is evaluated: it names who answers for the model, why, until when,
    and which rules it may break. The exit code is 6 where the gate refuses the model; a champion
    stays what it is.

    [bold]Try[/]

        loan-default promote 20261129

        loan-default promote 20261129 --approver "R. Officer" --reason "new product" --expires 2027-01-31

        loan-default promote 20261129 --approver … --reason … --expires … --override certain_lead
    """
    from loan_default.pipelines.promotion import comparison
    from loan_default.pipelines.promotion.approvals import approve
    from loan_default.pipelines.promotion.candidates import choose_model
    from loan_default.pipelines.promotion.decisions import update_status

    approval = _complete({"--approver": approver, "--reason": reason, "--expires": expires}, override or [])
    settings = start()
    with _evaluation_run(settings, schema) as run:
        named = _full(run, version)
        if approval:
            assert approver is not None
            assert reason is not None
            assert expires is not None
            approve(
                run.services.database,
                named,
                approver=approver,
                reason=reason,
                expires_at=expires.replace(tzinfo=UTC),
                now=datetime.now(UTC),
                overrides=override or [],
            )
        chosen = choose_model(run, version=named, replaces=replaces).chosen
        assert chosen is not None
        _bring_up_to_date(run)
        evaluated = comparison.evaluate_model(run, chosen)
        decision = update_status(run, evaluated, comparison.check_thresholds(run, evaluated))
    _show(decision, as_json=as_json)


def rollback(by: By, reason: Because, version: Former = None, as_json: AsJson = False) -> None:
    """Make a former champion the champion again; no rule is checked, and a person answers for it."""
    from loan_default.pipelines.promotion import comparison
    from loan_default.pipelines.promotion.approvals import ROLLBACK_HOLDS, approve
    from loan_default.pipelines.promotion.candidates import choose_model
    from loan_default.pipelines.promotion.decisions import update_status

    settings = start()
    with _evaluation_run(settings) as run:
        named = None if version is None else _full(run, version)
        chosen = choose_model(run, version=named, rollback=True).chosen
        assert chosen is not None
        pointer = run.models.champion()
        if pointer is not None and pointer.version == chosen.version:  # nobody has to answer for that
            raise DataError(
                f"a rollback must bring back another model than the champion, however: {chosen.version} is "
                "the champion. `loan-default models` lists the others."
            )
        now = datetime.now(UTC)
        approve(
            run.services.database,
            chosen.version,
            approver=by,
            reason=reason,
            expires_at=now + ROLLBACK_HOLDS,
            now=now,
        )
        evaluated = comparison.evaluate_model(run, chosen)
        decision = update_status(run, evaluated, comparison.check_thresholds(run, evaluated))
    _show(decision, as_json=as_json)


def rules_table(rules: list[dict[str, Any]]) -> Table:
    """A table with a row for each rule of the gate, from its plain values."""
    table = Table(title="Rules of the gate", title_justify="left")
    for name in ("no.", "rule", "outcome", "value", "threshold", "interval"):
        table.add_column(name, justify="right" if name in {"no.", "value", "threshold"} else "left")
    for rule in rules:
        ends = rule["interval"]
        table.add_row(
            str(rule["number"]),
            Text(rule["name"].replace("_", " ")),
            rule["outcome"],
            _number(rule["value"]),
            _number(rule["threshold"]),
            "" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}",
        )
    return table


@contextmanager
def _evaluation_run(settings: Settings, schema: Path | None = None) -> Iterator["EvaluationRun"]:
    from loan_default.kafka.topics import TOPICS
    from loan_default.pipelines.promotion.evaluation_run import EvaluationRun

    run = f"by-hand-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:8]}"
    with open_services(settings, schema, run=run) as services:
        if settings.kafka_bootstrap_servers is None:
            services.broker.create_topics(TOPICS)
        yield EvaluationRun(
            services=services,
            home=settings.home,
            maturity_days=settings.maturity_days,
            thresholds=settings.thresholds,
            policy=settings.policy,
            profile=review_policy_of(settings).profile,
            by=user_name(),
        )


def _bring_up_to_date(run: "EvaluationRun") -> None:
    from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
    from loan_default.pipelines.layout import TRAINING_STORE

    store_processed_data(run.services, run.home / TRAINING_STORE)


def _full(run: "EvaluationRun", version: str) -> str:
    """The whole version of which a person typed the beginning."""
    from loan_default.pipelines.registry import find_model

    return find_model(run.services.database, version).model.version


def _complete(approval: Mapping[str, object], overrides: list[str]) -> bool:
    """Whether an approval is given, which must be whole; ConfigurationError where something is missing."""
    given = [name for name, value in approval.items() if value is not None]
    missing = [name for name in approval if name not in given]
    if (given or overrides) and missing:
        what = "an override" if overrides else given[0]
        raise ConfigurationError(
            f"{what} must come with {', '.join(approval)}, however: not given: {', '.join(missing)}."
        )
    return bool(given)


def _show(decision: "Decision", *, as_json: bool) -> None:
    from loan_default.database.control_documents import Action

    if as_json:
        typer.echo(json.dumps(decision.model_dump(mode="json"), indent=2))
    else:
        console = make_console()
        if decision.rules:
            console.print(rules_table([rule.model_dump(mode="json") for rule in decision.rules]))
        for reason in decision.broken:
            say(console, "", reason, style="yellow")
        beside = f" beside {decision.champion}" if decision.champion else ""
        say(console, str(decision.action).replace("_", " "), f"{decision.version}{beside}")
        if decision.approval is not None:
            say(console, "approval", decision.approval)
    if decision.action is Action.REJECTED or decision.broken:
        raise typer.Exit(ExitCode.REJECTED)


def _number(value: "float | None") -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 10 and value == int(value) else f"{value:.4g}"
