"""Command lines: `kms-layer` (the node) and `kms-cli` (keys, tokens, shares)."""
