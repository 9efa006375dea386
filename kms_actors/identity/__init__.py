"""Entities, their aliases at logins, and groups: records and rules. Pure: no I/O, no clock."""
