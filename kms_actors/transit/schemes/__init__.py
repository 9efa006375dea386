"""One kind of key each: what it can do and how."""
