"""What a tenant keeps about itself, and what its controllers share."""
