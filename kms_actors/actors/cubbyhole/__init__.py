"""Cubbyholes of tokens, and wrapped answers."""
