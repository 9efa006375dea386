"""`kms-cli store`: checks, backups, restores."""
