"""Logs that prove themselves: Merkle trees, signed checkpoints, the form of lines, and what verifies them. Pure."""
