"""The controller of a tenant's tokens."""
