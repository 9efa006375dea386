"""The controller of Transit mounts: operations, changes, usage, schedules, and its records in the store."""
