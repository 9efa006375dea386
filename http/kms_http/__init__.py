"""The HTTP edge: limits, authentication, routing to messages, rendering. The only place that knows HTTP."""
