"""Routes of the Transit engine."""
