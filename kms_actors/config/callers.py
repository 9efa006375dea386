"""How callers prove who they are."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kms_actors.config.section import Count, Section


class BiscuitProvider(Section, frozen=True, kw_only=True):
    """Whose tokens are accepted."""

    name: Annotated[Literal["iam"], Meta(description="`iam`: tokens signed by a platform's IAM")] = "iam"
    keys: Annotated[
        tuple[tuple[str, str], ...],
        Meta(
            min_length=1,
            extra={"allowed": "a list of one or more pairs of public keys"},
            description="accepted pairs of root and service public keys, Ed25519, 64 hex characters each",
        ),
    ]
    service: Annotated[str, Meta(min_length=1, description="value of the `service` fact given to token checks")]
    accept_first_signatures: Annotated[
        bool,
        Meta(
            description="accept tokens of 2024 of one form: two blocks, the second signed by the service key in the "
            "first third-party scheme, with an owner, a resource and rights, and nothing else"
        ),
    ] = False


class Authenticator(Section, frozen=True, kw_only=True):
    """How callers prove who they are."""

    name: Annotated[Literal["biscuit"], Meta(description="`biscuit`")] = "biscuit"
    provider: BiscuitProvider
    cache_size: Annotated[Count, Meta(description="verified tokens kept in memory")] = 10_000
