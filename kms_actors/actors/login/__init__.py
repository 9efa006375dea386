"""Logins in a tenant actor: each method's controller, and what all of them share."""
