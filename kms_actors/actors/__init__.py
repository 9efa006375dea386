"""The actors of a node and of its tenants, and the messages they take."""
