from loan_default.pipelines.governance.configured import (
    configured_thresholds,
    documented_meanings,
    watched_measures,
)
from loan_default.settings import Settings


def test_values_are_the_configured_ones_with_the_documented_meaning():
    listed = {each["variable"]: each for each in configured_thresholds(Settings(minimum_auc=0.71))}
    assert listed["LOAN_DEFAULT_MINIMUM_AUC"]["value"] == "0.71"
    assert listed["LOAN_DEFAULT_MINIMUM_AUC"]["meaning"] == "what a champion must reach"
    assert listed["LOAN_DEFAULT_EXPOSURE_COLUMN"]["value"] == "none"


def test_no_address_and_no_password_is_listed():
    settings = Settings(mongodb_uri="mongodb://u:secret@db", api_key="0123456789ab.secret")
    assert "secret" not in str(configured_thresholds(settings))


def test_each_threshold_is_listed_and_documented():
    names = {each["variable"] for each in configured_thresholds(Settings())}
    for name in Settings.model_fields:
        if name.startswith(("minimum_", "maximum_", "drift_", "retrain_", "lead_", "demand", "materiality")):
            assert f"LOAN_DEFAULT_{name.upper()}" in names
    assert names <= set(documented_meanings())


def test_the_measures_in_service_have_the_limits_that_are_configured():
    watched = watched_measures(Settings(drift_warning=0.12, drift_action=0.3, drift_rows=700))
    psi = next(each for each in watched if each["what"].startswith("PSI"))
    assert (psi["warns"], psi["acts"]) == (0.12, 0.3)
    assert "the last 700 applications" in psi["window"]
    assert all(each["warns"] < each["acts"] for each in watched)
