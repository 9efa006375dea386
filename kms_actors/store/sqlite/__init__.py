"""The embedded engine: one SQLite file, for one machine."""
