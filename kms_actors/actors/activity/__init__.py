"""Which clients a vault has, by months: noted in memory, kept in the store, told and removed."""
