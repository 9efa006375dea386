"""What settings name on this machine, beside sockets and certificates; where it cannot be used, key and reason."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kms_actors.config import Configuration, SettingError
from kms_actors.system_errors import in_words

_TOKEN: Final = "metrics.token_file"  # noqa: S105 - the name of a key
_SHORTEST: Final = 16
_LONGEST: Final = 512


def metrics_token(configuration: Configuration) -> str:
    """Return the token that readers of the metrics need; empty: none. Raises SettingError."""
    name = configuration.metrics.token_file
    if name is None:
        return ""
    try:
        text = Path(name).read_text(encoding="ascii").strip()
    except OSError as error:
        raise SettingError(_TOKEN, f"{name}: {in_words(error)}") from None
    except UnicodeDecodeError:
        text = ""
    if not _SHORTEST <= len(text) <= _LONGEST or not text.isprintable() or " " in text:
        raise SettingError(_TOKEN, f"{name} holds no token: one line of {_SHORTEST} to {_LONGEST} characters")
    return text
