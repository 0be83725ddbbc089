"""Which schema a training takes, and that options must not contradict it."""

import pytest

from loan_default.data.schema.inference.target_values import NamedOutcomes
from loan_default.errors import ConfigurationError
from loan_default.pipelines.training.schema_choice import choose_schema
from loan_default.pipelines.training.training_options import FileData


def test_options_must_say_what_a_given_schema_says(lab):
    same = NamedOutcomes(bad=("YES",), good=("no",))
    assert (
        choose_schema(FileData(lab.data), schema=lab.schema, target=None, named=same).schema.name == "loans"
    )
    for named, option in ((NamedOutcomes(bad=("no",)), "--bad"), (NamedOutcomes(good=("x",)), "--good")):
        with pytest.raises(ConfigurationError, match=f"{option} must say what the schema says"):
            choose_schema(FileData(lab.data), schema=lab.schema, target=None, named=named)


def test_rejected_values_must_stand_in_a_given_schema(tmp_path):
    data, schema = FileData(tmp_path / "loans.csv"), tmp_path / "loans.toml"
    schema.write_text(
        '[columns.income]\nkind = "numerical"\n[columns.status]\nkind = "target"\nrejected = ["Declined"]\n'
    )
    same = NamedOutcomes(rejected=("declined",))
    assert choose_schema(data, schema=schema, target=None, named=same).schema["status"].rejected == (
        "Declined",
    )
    with pytest.raises(ConfigurationError, match=r"--rejected must say what the schema says.*Refused"):
        choose_schema(data, schema=schema, target=None, named=NamedOutcomes(rejected=("Refused",)))
