"""`loan-default explain`: why an application of a file has its PD."""

import json
from typing import Annotated

import typer

from loan_default.choices import ReferenceMethod
from loan_default.cli import options
from loan_default.cli.answering_models import models_to_answer
from loan_default.cli.console import make_console, say
from loan_default.cli.shown_reasons import print_explanation
from loan_default.wiring import open_database, start

Row = Annotated[int, typer.Option(min=0, help="Number of the application in the file, from 0.")]
Against = Annotated[
    ReferenceMethod | None,
    typer.Option(
        help="Explain against all applicants, or those whose PD is at or just below the cut-off. Default: "
        "LOAN_DEFAULT_REASONS_AGAINST."
    ),
]
Cutoff = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="PD up to which a loan is approved. Default: LOAN_DEFAULT_CUTOFF."),
]


def explain(
    data: options.DataToLookAt,
    row: Row = 0,
    model: options.ModelName = None,
    against: Against = None,
    cutoff: Cutoff = None,
    as_json: options.AsJson = False,
) -> None:
    """Say why an application has its PD: at most four reasons, the strongest first.

    Reasons are columns that raised the PD against a reference population. An application above the cut-off
    gets a what-if besides: the smallest change of one column that would cross it. Nothing of it is kept.
    """
    from loan_default.evaluation.metrics import score_points
    from loan_default.pipelines.layout import SERVING_FILES
    from loan_default.pipelines.scoring.applications import read_application
    from loan_default.serving.explained_answers import kept_explanation
    from loan_default.serving.explanations import ReasonPolicy
    from loan_default.serving.scorer import load_scorer

    console, settings = make_console(), start()
    policy = ReasonPolicy(
        against=against or settings.reasons_against,
        cutoff=settings.cutoff if cutoff is None else cutoff,
    )
    with open_database(settings) as database:
        wanted = models_to_answer(settings, database, model)().champion
    scorer = load_scorer(
        wanted.path, version=wanted.version, sha256=wanted.sha256, cache=settings.home / SERVING_FILES
    )
    application = read_application(data, row, schema=scorer.schema)
    pd = float(scorer.score([application])[0])
    (explanation,) = scorer.explain([application], policy)
    hint = scorer.hint(application, cutoff=policy.cutoff)
    points = round(float(score_points([pd])[0]), 2)
    if as_json:
        content = {
            "row": row,
            "pd": pd,
            "points": points,
            "model": {"version": scorer.version, "digest": scorer.digest},
            "cutoff": policy.cutoff,
            "explanation": explanation.to_dict(),
            "hint": None if hint is None else hint.to_dict(),
        }
        typer.echo(json.dumps(content, indent=2))
        return
    side = "above" if pd > policy.cutoff else "up to"
    say(console, "model", scorer.version)
    say(
        console,
        "score",
        f"PD {pd:.2%}, {points:.0f} points; {side} the cut-off of {policy.cutoff * 100:.4g}%",
    )
    print_explanation(console, kept_explanation(explanation))
    if hint is not None:
        say(
            console,
            "what if",
            f"{hint.column} were {hint.value}: PD {hint.pd:.2%}. {hint.note}",
        )
