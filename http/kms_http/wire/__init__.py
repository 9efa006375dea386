"""Bytes to requests and back: connections, limits, paths, bodies, answers and what errors become on the wire."""
