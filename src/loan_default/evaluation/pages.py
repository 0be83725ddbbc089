"""Pages for people: what all of them are made with, and the page on the columns of a file."""

from functools import cache

import jinja2

from loan_default.data.schema.inference.findings import most_urgent_first
from loan_default.data.schema.inference.infer import Inference
from loan_default.evaluation import formats


@cache
def page_templates() -> jinja2.Environment:
    """The environment of all templates; a name that a page was not given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("loan_default.evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": formats.number,
        "metric": formats.metric,
        "signed": formats.signed,
        "percent": formats.percent,
        "count": formats.count,
        "duration": formats.duration,
        "allowed": formats.allowed,
    }
    return environment


def render_schema_page(inference: Inference, *, source: str, written: str) -> str:
    """An HTML page without scripts and links: findings, then each column with its first values.

    It holds values of the file.

    Args:
        source: name of the file.
        written: how the file is written, in words.
    """
    return (
        page_templates()
        .get_template("schema.html")
        .render(
            source=source,
            written=written,
            columns=inference.columns,
            findings=most_urgent_first(inference.findings),
        )
    )
