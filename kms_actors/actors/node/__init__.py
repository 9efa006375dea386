"""The node: its actor, the actors of its tenants, and what finds, wakes and sweeps them."""
