"""Who asks, and what they may: biscuits and short service tokens. No I/O."""
