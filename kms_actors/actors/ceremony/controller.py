"""Ceremonies of one vault."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

from kms_actors.actors.ceremony.rekeying import Rekeying, rekeying_handlers
from kms_actors.actors.ceremony.root_generating import RootGenerating, root_handlers
from kms_actors.actors.ceremony.rotating import Rotating, rotating_handlers
from kms_actors.actors.ceremony.scope import TenantScope
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.ceremony.messages import ANSWERS
from kms_actors.messages import Message

#: What a `CeremonyController` handles.
CEREMONY_MESSAGES: Final = tuple(ANSWERS)


class CeremonyController:
    """The keyring of a vault, for its operator."""

    def __init__(self, context: TenantContext, scope: TenantScope) -> None:
        self._context = context
        self._handlers = {
            **rotating_handlers(Rotating(scope)),
            **rekeying_handlers(Rekeying(scope)),
            **root_handlers(RootGenerating(scope)),
        }

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {kind: partial(self._perform, handle) for kind, handle in self._handlers.items()}

    def _perform(self, handle: Callable[[Any], Coroutine[Any, Any, Any]], message: Message) -> Any:
        return self._context.spawn(handle(message))
