"""A node of several processes: a supervisor with the node actor, and workers with HTTP and the tenants."""
