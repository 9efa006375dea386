"""Messages about quotas of a vault, sent to its actor."""

from __future__ import annotations

from kms_actors.messages import Command, Query
from kms_actors.quota.records import QuotaConfig, RateLimit


class WriteRateLimit(Command, frozen=True):
    """Make a rate limit, or one of its name anew; `path` is whole, as the caller gave it. Answer: None."""

    rule: RateLimit
    path: str


class ReadRateLimit(Query, frozen=True):
    """Answer: the rate limit, and its path as it is now; raises NotFound."""

    name: str


class DeleteRateLimit(Command, frozen=True):
    """Answer: None, also where there is none."""

    name: str


class ListRateLimits(Query, frozen=True):
    """Answer: names in order."""


class ReadQuotaConfig(Query, frozen=True):
    """Answer: QuotaConfig."""


class WriteQuotaConfig(Command, frozen=True):
    """Answer: None."""

    config: QuotaConfig
