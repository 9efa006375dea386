"""Who keeps a cluster's master key in place of its operators, and gives it back to a node that starts."""
