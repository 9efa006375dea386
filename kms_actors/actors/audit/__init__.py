"""Audit devices at work: opened on each node, written to, changed; and the trail that requests leave."""
