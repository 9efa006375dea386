"""ACL and password policies: parsed, compiled, asked. Pure: no I/O, no clock."""
