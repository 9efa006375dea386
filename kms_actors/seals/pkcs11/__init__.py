"""A master key wrapped by an AES key in an HSM."""
