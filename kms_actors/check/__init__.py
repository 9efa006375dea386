"""Checking a store: every record is walked, and what is damaged, missing or left over is named."""
