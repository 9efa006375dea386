"""All sealed records moved to the newest versions of their keyrings, beside running nodes."""
