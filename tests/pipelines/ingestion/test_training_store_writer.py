"""A date, a weight and texts in declared forms go from records to the training store as canonical values."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.sources.feeds import FileFeed
from loan_default.kafka.consuming import Polling
from loan_default.pipelines.ingestion.ingestion_steps import (
    ingest_raw_data,
    process_raw_data,
    send_processed_data,
)
from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
from loan_default.pipelines.training.dataset import load_store

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="made", kind=Kind.TIMESTAMP, format="%d/%m/%Y"),
        Column(
            name="opened", kind=Kind.DATE, format="%b-%y", derive="years_before_application", nullable=True
        ),
        Column(name="rate", kind=Kind.NUMERICAL, format="percent", nullable=True, missing=("?",)),
        Column(name="w", kind=Kind.WEIGHT, decimal=",", thousands="."),
        Column(name="bad", kind=Kind.TARGET),
    ),
)


@pytest.mark.slow
def test_values_in_declared_forms_reach_the_training_store(new_services, tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_text(
        'id,made,opened,rate,w,bad\na,31/12/2011,Dec-99,14.5%,"1,5",1\nb,01/02/2012,,?,"1.000",0\nc,x,,1%,"0",0\n'
    )
    services = new_services(SCHEMA, Polling(batch=70, poll_seconds=0.05))
    ingest_raw_data(services, FileFeed(path, SCHEMA, state=tmp_path / "feed.json"))
    process_raw_data(services)
    send_processed_data(services)
    assert store_processed_data(services, tmp_path / "store").records == 2
    now = datetime(2026, 1, 1, tzinfo=UTC)
    frame = load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=now).frame
    frame = frame.sort_values("id").reset_index(drop=True)
    assert frame["made"].tolist() == [
        pd.Timestamp("2011-12-31", tz="UTC"),
        pd.Timestamp("2012-02-01", tz="UTC"),
    ]
    assert frame["opened"].dt.year.fillna(0).tolist() == [1999, 0]
    assert frame["rate"].fillna(-1).tolist() == [14.5, -1]
    assert frame["w"].tolist() == [1.5, 1000]
