"""What operators do with the keys above a vault's records, or a cluster's: rotations, rekeys, root tokens. Pure."""
