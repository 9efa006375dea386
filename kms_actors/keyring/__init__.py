"""Key hierarchy: shares, master and tenant keyrings, sealed records, seal state. Pure: no I/O, no clock."""
