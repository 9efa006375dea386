"""All parsers of what others write, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.fuzz.parsers import files, texts, tokens, wire
from tests.fuzz.parsers.target import Target

TABLE: Final[Mapping[str, Target]] = {**wire.TARGETS, **tokens.TARGETS, **texts.TARGETS, **files.TARGETS}
