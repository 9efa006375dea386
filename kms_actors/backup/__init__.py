"""Backups: sealed records out of a store into a file that proves itself, and back."""
