"""What a node tells of itself, and of the cluster that it is of. An engine like the others."""
