"""From rows to a registered model and its report."""
