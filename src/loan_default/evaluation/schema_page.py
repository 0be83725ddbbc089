"""A page on how the columns of a file are read, for the person who knows the file."""

import jinja2

from loan_default.data.schema.inference.findings import most_urgent_first
from loan_default.data.schema.inference.infer import Inference


def render_schema_page(inference: Inference, *, source: str, written: str) -> str:
    """An HTML page without scripts and links: findings, then each column with its first values.

    It holds values of the file.

    Args:
        source: name of the file.
        written: how the file is written, in words.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("loan_default.evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("schema.html").render(
        source=source,
        written=written,
        columns=inference.columns,
        findings=most_urgent_first(inference.findings),
    )
