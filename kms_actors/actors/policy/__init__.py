"""Policies of a tenant: stored, changed, and compiled for those who ask."""
