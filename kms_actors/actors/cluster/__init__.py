"""What nodes tell each other through the store: the change log and its lease, and schedules."""
