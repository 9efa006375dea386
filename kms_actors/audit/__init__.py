"""Audit: what is written of a request and its answer, for which devices, and what of it is shown. An engine."""
