"""Documents about models: the model card and validation report, from stored figures alone."""
