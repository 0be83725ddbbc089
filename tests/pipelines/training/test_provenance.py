"""Where a model comes from, in words that people use."""

from loan_default.pipelines.training.provenance import provenance_in_words


def test_no_value_is_none_and_a_truth_is_yes_or_no():
    shown = provenance_in_words({"seen_until": None, "out_of_time": False, "encoder_given": True, "seed": 0})
    assert shown == {"seen until": "none", "out of time": "no", "encoder given": "yes", "seed": "0"}
