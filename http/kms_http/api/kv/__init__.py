"""Routes of the KV engine."""
