"""Training: rows become a registered model and its report."""
