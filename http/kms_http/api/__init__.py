"""The API: routes to messages, a room for each family of paths."""
