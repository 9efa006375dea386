"""The controller of KV mounts: its queue of writes, its records in the store."""
