"""What people watch a node by: metrics and logs."""
