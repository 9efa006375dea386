"""Tenants as the cluster's operator sees them: what is kept and told of each, none of it opened."""
