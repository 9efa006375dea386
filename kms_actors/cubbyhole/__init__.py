"""What a token keeps for itself: its cubbyhole, and the wrapped answer of a wrapping token."""
