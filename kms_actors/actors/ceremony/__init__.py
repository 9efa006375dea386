"""Ceremonies of operators as transactions, alike for the cluster and for a vault."""
