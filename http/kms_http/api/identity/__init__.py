"""Entities, aliases and groups."""
