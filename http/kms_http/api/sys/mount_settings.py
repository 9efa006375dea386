"""Settings of a mount as requests give them: one table.

A setting is kept (a field of `Mount` or `MountConfig`, stored and shown), or refused with 400 that names it: as
unknown in `config`, or for a reason of its own. None is accepted and dropped; null and empty values ask for nothing.
See decision 26.

Source: Vault's API pages `sys/mounts` and `sys/auth`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_actors.errors import InvalidRequest
from kms_actors.mounts import MAX_RECORD, TOO_LARGE
from kms_http.fields import Converter, Fields, WrongType, to_bool, to_duration, to_int, to_list, to_map, to_str

_SECOND: Final = 10**9
_MOST_GUESSES: Final = 1_000_000


def to_ttl(value: Any) -> int:
    """Durations as Vault takes them, in whole seconds, one at least for what is below; `system` is 0."""
    nanoseconds = 0 if value == "system" else to_duration(value)
    return nanoseconds // _SECOND or int(nanoseconds > 0)


def _to_limit(value: Any) -> int:
    """As `to_ttl`; true and false are 1 and 0 in what tunes a mount, as numbers are anywhere."""
    return to_ttl(int(value) if isinstance(value, bool) else value)


def to_names(value: Any) -> tuple[str, ...]:
    """Lists, or comma-separated strings, of texts without space around them."""
    return tuple(to_str(name).strip() for name in to_list(value))


def to_pairs(value: Any) -> dict[str, str]:
    """Objects of texts, a text `name=value`, or a list of these."""
    if isinstance(value, dict | list) and len(value) > MAX_RECORD:  # none of them takes less than a byte
        raise InvalidRequest(TOO_LARGE)
    if isinstance(value, str) and value:
        value = [value]
    if isinstance(value, list):
        pairs = [to_str(pair).partition("=") for pair in value]
        if not all(equals for _, equals, _ in pairs):
            raise WrongType("invalid key pair: name=value is needed")
        return {name: text for name, _, text in pairs}
    options = to_map(None if value == "" else value)
    if not all(isinstance(text, str | int | float) for text in options.values()):
        raise InvalidRequest("options must be a map of strings")
    return {name: to_str(text) for name, text in options.items()}


#: Fields of `MountConfig`, which `config` has when a mount is enabled, and a request to tune it.
_CONFIG: Final[Mapping[str, Converter]] = {
    "default_lease_ttl": to_ttl,
    "max_lease_ttl": to_ttl,
    "force_no_cache": to_bool,
    "listing_visibility": to_str,
    "audit_non_hmac_request_keys": to_names,
    "audit_non_hmac_response_keys": to_names,
    "passthrough_request_headers": to_names,
    "allowed_response_headers": to_names,
}


#: Of these, what bounds leases.
_LIMITS: Final[Mapping[str, Converter]] = {"default_lease_ttl": _to_limit, "max_lease_ttl": _to_limit}


def _to_count(value: Any) -> int:
    number = to_int(value)
    if not 0 <= number <= _MOST_GUESSES:
        raise WrongType(f"a number from 0 to {_MOST_GUESSES} is needed")
    return number


def _to_lockout(value: Any) -> dict[str, Any]:
    """Return fields of `LockoutConfig`."""
    found = _LOCKOUT_FIELDS.parse(to_map(value))[0]
    return {name.removeprefix("lockout_").removesuffix("_duration"): found[name] for name in found}


#: Likewise, of a mount of logins.
_LOGIN_CONFIG: Final[Mapping[str, Converter]] = {
    **_CONFIG,
    "token_type": to_str,
    "user_lockout_config": _to_lockout,
}

_NO_PLUGINS: Final = "engines are part of the program: there are no plugins to choose"
_MISPLACED: Final = "this setting belongs into config"
#: What asks for something that is not there.
_REFUSED: Final[Mapping[str, str]] = {
    "plugin_version": _NO_PLUGINS,
    "plugin_name": _NO_PLUGINS,
    "token_type": "can only be modified on auth mounts",
    "user_lockout_config": "is for auth mounts",
    "external_entropy_access": "there is no external source of entropy",
    "identity_token_key": "there are no identity tokens",
    "delegated_auth_accessors": "authentication is not delegated",
    "allowed_managed_keys": "there are no managed keys",
    "trim_request_trailing_slashes": "a trailing slash is refused",
    "override_pinned_version": _NO_PLUGINS,
}


class SettingFields(Fields):
    """Declared fields. What is a setting elsewhere, or none that is there, must ask for nothing.

    Of a request itself, other names are what they are in any request: clients send their own arguments along.
    """

    __slots__ = ("_within",)

    def __init__(self, converters: Mapping[str, Converter], within: str = "") -> None:
        super().__init__(existence_checked=False, **converters)
        self._within = within

    def parse(self, sent: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        values, unknown = super().parse({name: value for name, value in sent.items() if value is not None})
        others = [name for name in unknown if not _asks_nothing(sent[name])]
        for name in others:
            reason = _REFUSED.get(name) or (_MISPLACED if name in _CONFIG else "")
            shown = f"{self._within}{name[:64]}"
            if reason:
                raise InvalidRequest(f"{shown}: {reason}")
            if self._within:
                raise InvalidRequest(f'unknown setting "{shown}" of a mount')
        return values, others


def _asks_nothing(value: Any) -> bool:
    return value in (None, "", "false", "0s") or (isinstance(value, bool | int | list | dict) and not value)


def _config_fields(converters: Mapping[str, Converter]) -> Converter:
    fields = SettingFields(converters, "config.")
    return lambda value: fields.parse(to_map(value))[0]


def _enabling(converters: Mapping[str, Converter]) -> SettingFields:
    """Return the fields of a request that enables a mount; `type` names what."""
    return SettingFields(
        {
            "type": to_str,
            "description": to_str,
            "options": to_pairs,
            "config": _config_fields(converters),
            "local": to_bool,
            "seal_wrap": to_bool,
        }
    )


class _TuningFields(SettingFields):
    """As `SettingFields`; an empty text says nothing about how long leases last."""

    __slots__ = ()

    def parse(self, sent: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        return super().parse({name: value for name, value in sent.items() if value != "" or name not in _LIMITS})


def _tuning(converters: Mapping[str, Converter]) -> SettingFields:
    return _TuningFields({"description": to_str, "options": to_pairs, **converters, **_LIMITS})


_LOCKOUT_FIELDS: Final = SettingFields(
    {
        "lockout_threshold": _to_count,
        "lockout_duration": to_ttl,
        "lockout_counter_reset": to_ttl,  # as the documentation has it
        "lockout_counter_reset_duration": to_ttl,  # as clients send it
        "lockout_disable": to_bool,
    },
    "user_lockout_config.",
)

ENABLE: Final = _enabling(_CONFIG)
TUNE: Final = _tuning(_CONFIG)
#: The same for mounts of logins.
LOGIN_ENABLE: Final = _enabling(_LOGIN_CONFIG)
LOGIN_TUNE: Final = _tuning(_LOGIN_CONFIG)
#: Of what is sent to tune a mount, the fields of `MountConfig`.
CONFIG_NAMES: Final = frozenset(_CONFIG)
LOGIN_CONFIG_NAMES: Final = frozenset(_LOGIN_CONFIG)
