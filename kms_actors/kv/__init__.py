"""KV version 2 engine: versions, check-and-set, metadata. Pure: no I/O, no clock of its own."""
