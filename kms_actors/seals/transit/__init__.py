"""A master key wrapped by a key of the secrets engine Transit on another server."""
