"""`kms-cli audit`: logs verified, searched and proven, by files and what the server or others know of them."""
