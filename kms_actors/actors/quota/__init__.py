"""Quotas that a vault gives itself."""
