"""Routes below `sys/`: health, seal, mounts, capabilities."""
