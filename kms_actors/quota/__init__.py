"""Quotas: how often a vault, a mount, a path or a role may be asked. An engine: no I/O, no HTTP."""
