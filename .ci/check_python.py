"""Says in one sentence what this Python lacks for an environment; run before pip, and by any Python."""

import sys

#: As `requires-python` in pyproject.toml.
LEAST = (3, 11)


def lack():
    """Return the sentence, or None."""
    if sys.version_info[:2] < LEAST:
        needed = "Python %d.%d or newer" % LEAST
        have = "%s is Python %d.%d" % ((sys.executable,) + tuple(sys.version_info[:2]))
        return "Clever KMS needs %s, and %s: name another one, as in `make PYTHON=python%d.%d`." % (
            (needed, have) + LEAST
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return "%s has no `venv`: install it (Debian: the package python3-venv)." % sys.executable
    return None


if __name__ == "__main__":
    sys.exit(lack())
