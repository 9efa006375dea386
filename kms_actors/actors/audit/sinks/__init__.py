"""Where lines go: files, sockets, the system's log. Each is a `Sink`."""
