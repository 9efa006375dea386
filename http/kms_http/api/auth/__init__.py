"""Routes below `auth/`: the caller's own token."""
