"""Transit engine: keys, ciphertexts and their operations. Pure: no I/O, no clock of its own."""
