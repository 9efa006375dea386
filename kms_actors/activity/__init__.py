"""Which clients a vault has, by months: who they are, how they are counted, and what is told of them. An engine."""
