"""Which token somebody may make: Vault's rules, and those of what a biscuit makes.

A token that a biscuit makes keeps the biscuit's text, and is never allowed what that one is not: so it may name any
policies but root, and ends no later. All else is as in Vault: without sudo on the path nobody gets a policy that he
has not, unless a role says so.

Source: Vault's API page `auth/token`, and what its reference does.
"""

from __future__ import annotations

from typing import Final

import msgspec

from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import MAX_CHOSEN, MIN_CHOSEN, is_chosen
from kms_actors.errors import InvalidRequest
from kms_actors.token.lifetime import Limits, grant
from kms_actors.token.naming import DEFAULT, MAX_USES, NOT_ASSIGNABLE, ROOT, TokenType, display_name, policy_names
from kms_actors.token.role import TokenRole
from kms_actors.token.spec import TokenSpec

_SYSTEM: Final = Limits()
_BOUND: Final = (
    "The token has no parent, but is still bound by the biscuit that it comes from: "
    "it ends with that one, and may do no more."
)
_CHOSEN: Final = "Supplying a custom ID for the token: it is as hard to guess as that ID is."


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks for. Durations are in seconds."""

    policies: tuple[str, ...] = ()
    metadata: dict[str, str] | None = None
    no_parent: bool = False
    no_default_policy: bool = False
    renewable: bool = True
    ttl: int = 0
    explicit_max_ttl: int = 0
    period: int = 0
    num_uses: int = 0
    display_name: str = ""
    type: str = ""
    entity_alias: str = ""
    id: str = ""  # the text that the token is to have
    path: str = "auth/token/create"

    def __repr__(self) -> str:
        return f"<Wanted for {self.path}>"


class Maker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for it. Times are in seconds since 1970."""

    right: Right
    policies: tuple[str, ...]
    sudo: bool  # on the path of the request
    chooses: bool = False  # whether it is in the vault that tokens without an integer are of
    accessor: str = ""  # empty for a biscuit
    line: tuple[str, ...] = ()
    mount: int | None = None
    mount_moves: int = 0
    batch: bool = False
    counted: bool = False  # whether its uses are
    entity_id: str = ""
    bound_cidrs: tuple[str, ...] = ()
    expires_at: float | None = None
    under: str = ""  # text of the biscuit that it is, or was made by
    free: bool = False  # a biscuit that may do all in its vault: what it makes as an orphan stands for itself
    not_after: float | None = None  # when what it makes ends at the latest

    def __repr__(self) -> str:
        return "<Maker>"


class Plan(msgspec.Struct, frozen=True):
    """A token to be made, and what its maker is told."""

    spec: TokenSpec
    warnings: tuple[str, ...] = ()


def plan(wanted: Wanted, maker: Maker, role: TokenRole | None, now: float, limits: Limits = _SYSTEM) -> Plan:
    """Return the token that a request gets, within the limits of the mount.

    Raises:
        InvalidRequest: it cannot be, with Vault's texts.

    """
    _check_maker(maker)
    _check(wanted, maker, role)
    if wanted.id:
        _check_chosen(wanted.id, maker)
    batch = _is_batch(wanted.type, role)
    orphan = _is_orphan(wanted, maker, role)
    policies, right = _policies(wanted, maker, role)
    root = ROOT in policies
    if root and maker.right is not Right.ROOT:
        raise InvalidRequest("root tokens may not be created without parent token being root")
    if batch:
        _check_batch(wanted, root=root)
    warnings: list[str] = [_CHOSEN] if wanted.id else []
    explicit = _lesser("Explicit max TTL", wanted.explicit_max_ttl, role.explicit_max_ttl if role else 0, warnings)
    period = 0 if batch else _lesser("Period", wanted.period, role.period if role else 0, warnings)
    if maker.not_after is not None:
        limits = limits.within(max(1, int(maker.not_after - now)))
    ttl = wanted.ttl
    if ttl or period or not root:
        granted = grant(limits, ttl=ttl, period=period, explicit_max_ttl=explicit)
        ttl = granted.ttl
        warnings += granted.warnings
    ttl = ttl or explicit
    if not ttl and maker.expires_at is not None:
        raise InvalidRequest("expiring root tokens cannot create non-expiring root tokens")
    free = maker.free and orphan
    if orphan and maker.under and not free:
        warnings.append(_BOUND)
    spec = TokenSpec(
        policies=policies,
        right=right,
        display_name=display_name(wanted.display_name),
        path=_path(wanted.path, role),
        metadata=wanted.metadata or None,
        ttl=ttl,
        explicit_max_ttl=0 if batch else explicit,
        period=period,
        num_uses=0 if batch else _fewest(wanted.num_uses, role.num_uses if role else 0),
        renewable=bool(ttl) and not batch and wanted.renewable and (role is None or role.renewable),
        batch=batch,
        bound_cidrs=maker.bound_cidrs if role is None and not orphan else role.bound_cidrs if role else (),
        entity_id="" if orphan else maker.entity_id,
        role=role.name if role else "",
        parent="" if orphan else maker.accessor,
        line=() if orphan or not maker.accessor else (*maker.line, maker.accessor),
        mount=None if orphan else maker.mount,
        mount_moves=0 if orphan else maker.mount_moves,
        under="" if free else maker.under,
        not_after=None if free else maker.not_after,
        chosen=wanted.id,
    )
    return Plan(spec, tuple(warnings))


def _check_maker(maker: Maker) -> None:
    if maker.batch:
        raise InvalidRequest("batch tokens cannot create more tokens")
    if maker.counted:
        raise InvalidRequest("restricted use token cannot generate child tokens")


def _check(wanted: Wanted, maker: Maker, role: TokenRole | None) -> None:
    if wanted.num_uses < 0:
        raise InvalidRequest("number of uses cannot be negative")
    if wanted.num_uses > MAX_USES:
        raise InvalidRequest(f"number of uses cannot be above {MAX_USES}")
    if wanted.type not in {"", "service", "batch"}:
        raise InvalidRequest("invalid 'token_type' value")
    for name in ("ttl", "explicit_max_ttl", "period"):
        if getattr(wanted, name) < 0:
            raise InvalidRequest(f"{name} must be positive")
    if wanted.period and not maker.sudo:
        raise InvalidRequest("root or sudo privileges required to create periodic token")
    if wanted.entity_alias and role is None:
        raise InvalidRequest("'entity_alias' is only allowed in combination with token role")
    if wanted.entity_alias and role is not None:
        allowed = any(_fits(wanted.entity_alias.lower(), pattern) for pattern in role.allowed_entity_aliases)
        if not allowed:
            raise InvalidRequest("invalid 'entity_alias' value")


def _check_chosen(text: str, maker: Maker) -> None:
    if not maker.sudo:
        raise InvalidRequest("root or sudo privileges required to specify token id")
    if not maker.chooses:
        raise InvalidRequest("token IDs can only be manually specified in the vault that tenants.default_vault names")
    for prefix in ("hvs.", "s."):
        if text.startswith(prefix):
            raise InvalidRequest(f"custom token ID cannot have the '{prefix}' prefix")
    if "." in text:
        raise InvalidRequest("custom token ID cannot have a '.' in the value")
    if not is_chosen(text):
        raise InvalidRequest(
            f"custom token ID must have {MIN_CHOSEN} to {MAX_CHOSEN} ASCII characters without a space"
        )


def _check_batch(wanted: Wanted, *, root: bool) -> None:
    for name in ("explicit_max_ttl", "id", "num_uses", "period"):
        if getattr(wanted, name):
            raise InvalidRequest(f'batch tokens cannot have "{name}" set')
    if root:
        raise InvalidRequest("batch tokens cannot be root tokens")


def _is_batch(asked: str, role: TokenRole | None) -> bool:
    kind = role.type if role is not None else TokenType.DEFAULT_SERVICE
    if kind in {TokenType.SERVICE, TokenType.BATCH} or not asked:
        return kind in {TokenType.BATCH, TokenType.DEFAULT_BATCH}
    return asked == "batch"


def _is_orphan(wanted: Wanted, maker: Maker, role: TokenRole | None) -> bool:
    if role is not None:
        return role.orphan
    if wanted.path.endswith("/create-orphan"):
        return True
    if wanted.no_parent and not maker.sudo:
        raise InvalidRequest("root or sudo privileges required to create orphan token")
    return wanted.no_parent


def _policies(wanted: Wanted, maker: Maker, role: TokenRole | None) -> tuple[tuple[str, ...], Right]:
    """Return the policies of the token, and the right that it has beside them."""
    asked = policy_names(wanted.policies, default=False)
    for name in NOT_ASSIGNABLE:
        if name in asked:
            raise InvalidRequest(f'cannot assign policy "{name}"')
    kept = not wanted.no_default_policy and not (role is not None and role.no_default_policy)
    default = kept and not (role is not None and _disallows(role, DEFAULT))
    if role is not None and role.bounds_policies:
        found = _allowed_by(role, asked if wanted.policies else None, default)
    elif not wanted.policies:  # a list of empty names asks for nothing else than what almost every token has
        _check_disallowed(role, maker.policies)
        if maker.right is not Right.POLICY and role is None:
            # As much as its maker; what that says of policies is only what it shows.
            return ((ROOT,) if maker.right is Right.ROOT else (DEFAULT,)), maker.right
        return (maker.policies if kept else _without_default(maker.policies)), maker.right
    elif maker.sudo or maker.right is Right.DATA or (role is not None and role.forbids_policies):
        found = policy_names(asked, default=default)
    elif set(asked) <= set(maker.policies) or maker.right is Right.ROOT:
        found = policy_names(asked, default=default and DEFAULT in maker.policies)
    else:
        raise InvalidRequest("child policies must be subset of parent")
    _check_disallowed(role, found)
    if wanted.no_default_policy:
        found = _without_default(found)  # even where it is asked for by name
    return found, Right.ROOT if ROOT in found else Right.POLICY


def _without_default(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name != DEFAULT)


def _allowed_by(role: TokenRole, asked: tuple[str, ...] | None, default: bool) -> tuple[str, ...]:
    """Return the policies that a role gives, or lets somebody ask for."""
    allowed = policy_names(role.allowed_policies, default=default)
    if asked is None:
        return allowed
    found = policy_names(asked, default=default)
    globs = role.allowed_policies_glob
    if not all(name in allowed or any(_fits(name, pattern) for pattern in globs) for name in found):
        raise InvalidRequest("token policies must be subset of the role's allowed policies or glob policies")
    return found


def _check_disallowed(role: TokenRole | None, policies: tuple[str, ...]) -> None:
    if role is None:
        return
    if any(_disallows(role, name) for name in policies):
        raise InvalidRequest("a token policy is disallowed by this role")


def _disallows(role: TokenRole, name: str) -> bool:
    return name in role.disallowed_policies or any(_fits(name, glob) for glob in role.disallowed_policies_glob)


def _fits(name: str, pattern: str) -> bool:
    """Tell whether a name is like a pattern, in which `*` alone stands for others."""
    head, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    *middle, tail = rest
    if not name.startswith(head) or len(name) < len(head) + len(tail) or not name.endswith(tail):
        return False
    place, end = len(head), len(name) - len(tail)
    for part in middle:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def _lesser(what: str, asked: int, of_role: int, warnings: list[str]) -> int:
    if not asked or not of_role:
        return asked or of_role
    least = min(asked, of_role)
    warnings.append(
        f"{what} specified both during creation call and in role; using the lesser value of {least} seconds"
    )
    return least


def _fewest(asked: int, of_role: int) -> int:
    return min(asked, of_role) if asked and of_role else asked or of_role


def _path(path: str, role: TokenRole | None) -> str:
    if role is None:
        return path
    return "/".join(filter(None, ("auth/token/create", role.name, role.path_suffix)))
