"""The engine on FoundationDB, for several nodes."""
