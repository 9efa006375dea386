"""`kms-cli rewrap`: ciphertexts of files moved to the newest key version."""
