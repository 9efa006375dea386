"""Tokens of a vault: what makes one, how long it lives, who may make which. No I/O, no HTTP, no clock."""
