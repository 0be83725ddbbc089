"""Evaluation of predictions: metrics, intervals, the gate, charts and the report. Arrays in, results out."""
