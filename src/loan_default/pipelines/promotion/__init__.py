"""Promotion: candidates are compared with the champion, and the decision is carried out."""
