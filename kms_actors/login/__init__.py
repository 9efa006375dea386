"""Logins: what proves who somebody is, and what token that gives. No I/O, no HTTP, no clock."""
