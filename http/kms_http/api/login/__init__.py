"""Routes below mounts of logins, by the mount's type."""
