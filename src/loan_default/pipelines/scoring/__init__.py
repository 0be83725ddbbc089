"""From applications and a model to PDs."""
