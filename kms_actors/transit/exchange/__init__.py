"""Keys that come and go: import, export, backup, certificates, agreement."""
