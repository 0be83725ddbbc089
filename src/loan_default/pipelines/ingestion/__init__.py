"""Ingestion from a source to the training store: every application is accounted for."""
