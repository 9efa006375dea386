"""`kms-cli kubernetes`: an API server's way to Transit keys, over gRPC on a unix socket. It is an extra."""
