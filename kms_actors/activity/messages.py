"""Messages of what a vault's clients are counted by."""

from __future__ import annotations

from kms_actors.activity.clients import Client
from kms_actors.messages import Command, Query


class NoteBiscuit(Command, frozen=True):
    """A biscuit is used for the first time in a month, as far as this process knows. Answer: None.

    `client` is None for one that is not counted; `biscuit` is its revocation id.
    """

    biscuit: str
    client: Client | None


class ReadActivity(Query, frozen=True):
    """Answer: Usage of the months that times in seconds since 1970 are in; None where none of them is kept.

    `start` 0: as many months before the end as the vault reports; `end` 0: now. Raises InvalidRequest.
    """

    start: float = 0.0
    end: float = 0.0
    monthly: bool = False  # the present month, while clients are counted


class ExportClients(ReadActivity, frozen=True):
    """Answer: the vault's integer, and SeenClients of the same months, each once, where it was seen first in them.

    Raises InvalidRequest, also for more than are exported.
    """


class ReadActivityConfig(Query, frozen=True):
    """Answer: ActivityConfig, and what is counted of each month, by its number."""


class WriteActivityConfig(Command, frozen=True):
    """Change what is given of the configuration. Answer: texts for the sender; raises InvalidRequest."""

    enabled: str | None = None
    retention_months: int | None = None
    report_months: int | None = None
