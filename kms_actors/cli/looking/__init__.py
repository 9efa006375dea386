"""What `kms-layer check` and `kms-cli doctor` look at: a node before it runs, and a client's way to one."""
