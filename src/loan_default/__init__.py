"""Loan applications in, calibrated probabilities of default out."""
