"""Ordered transactional key-value store: one protocol, two engines."""
