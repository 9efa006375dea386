from __future__ import annotations

import gc
import time
from collections.abc import Callable

import biscuit_auth
import pytest
from structlog.testing import capture_logs

from kms_actors.auth import biscuit as biscuit_module
from kms_actors.auth import wire
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.build import Privilege
from kms_actors.auth.keys import TokenKeys
from kms_actors.auth.principal import Access, Principal, Right
from kms_actors.auth.wire import TokenRefused
from kms_actors.errors import AuthenticationFailed
from tests.auth.mint import NAMESPACE, NOW, VAULT, Mint, pair, third_party


def refused(authenticator: BiscuitAuthenticator, token: str, now: float = NOW) -> str:
    """Return the logged reason; the caller learns nothing and the token is not in the log."""
    with capture_logs() as logs, pytest.raises(AuthenticationFailed, match=r"^permission denied$"):
        authenticator.authenticate(token, now)
    (line,) = logs
    assert line["event"] == "token refused"
    assert token[:40] not in str(line) or not token
    return str(line["reason"])


@pytest.mark.parametrize(
    ("privilege", "resource", "right"),
    [
        (Privilege.CLUSTER_OPERATOR, NAMESPACE, Right.OPERATOR),
        (Privilege.TENANT_OPERATOR, VAULT, Right.ROOT),
        (Privilege.TENANT, VAULT, Right.DATA),
    ],
)
def test_each_privilege_gives_its_scope_and_right(
    authenticator: BiscuitAuthenticator, mint: Mint, privilege: Privilege, resource: str, right: Right
) -> None:
    principal: Principal = authenticator.authenticate(mint.token(resource, privilege), NOW)
    assert (principal.resource, principal.right) == (resource, right)
    assert principal.policies == ("default",)
    assert principal.accessor == "n/a"
    assert principal.metadata == {"owner": "orga_1"}
    assert (principal.expires_at, principal.issued_at) == (None, 0)
    assert len(principal.revocation_ids) == 2
    kind = privilege.value.replace("-", " ")
    where = f"cluster {resource}" if right is Right.OPERATOR else resource
    assert principal.display_name == f"{kind} of {where}, owner orga_1, without end"


class TestPolicies:
    def test_stand_in_place_of_all_data(self, authenticator: BiscuitAuthenticator, mint: Mint) -> None:
        principal = authenticator.authenticate(mint.token(policies=["web", "App", "app"]), NOW)
        assert (principal.right, principal.policies) == (Right.POLICY, ("app", "default", "web"))
        assert "policies app default web" in principal.display_name

    @pytest.mark.parametrize(
        ("block", "reason"),
        [
            ('rights({"root"}); policy("a")', "beside the empty rights set"),
            ('rights({,}); policy("root")', "no token names the policy root"),
            ('rights({,}); policy("Root")', "no token names the policy root"),
            ("rights({,}); policy(1)", "what is no string"),
            ('rights({,}); policy("")', "not printable, or empty"),
            ('rights({,}); policy("a\\n")', "not printable, or empty"),
            ("rights({,}); " + "; ".join(f'policy("p{n}")' for n in range(33)), "more than 32"),
        ],
    )
    def test_that_no_token_has_are_refused(
        self, authenticator: BiscuitAuthenticator, mint: Mint, block: str, reason: str
    ) -> None:
        assert reason in refused(authenticator, mint.raw(f'resource("{VAULT}"); {block}'))

    def test_of_a_holder_are_none(self, authenticator: BiscuitAuthenticator, mint: Mint) -> None:
        principal = authenticator.authenticate(mint.narrowed(mint.token(), 'policy("a")'), NOW)
        assert (principal.right, principal.policies) == (Right.DATA, ("default",))
        narrowed = mint.narrowed(mint.token(policies=["app"]), 'policy("more")')
        assert authenticator.authenticate(narrowed, NOW).policies == ("app", "default")

    @pytest.mark.parametrize("privilege", [Privilege.CLUSTER_OPERATOR, Privilege.TENANT_OPERATOR])
    def test_are_not_made_beside_another_right(self, mint: Mint, privilege: Privilege) -> None:
        with pytest.raises(TokenRefused, match="beside the empty rights set"):
            mint.token(NAMESPACE, privilege, policies=["app"])


def test_a_token_without_padding_is_the_same_token(authenticator: BiscuitAuthenticator, mint: Mint) -> None:
    token = mint.token()
    assert authenticator.authenticate(token.rstrip("="), NOW).resource == VAULT


def test_facts_of_later_blocks_give_nothing(authenticator: BiscuitAuthenticator, mint: Mint) -> None:
    token = mint.narrowed(mint.token(), f'rights({{"root"}}); resource("other"); resource("{NAMESPACE}");')
    token = mint.narrowed(token, 'rights({"operator"}); check if rights({"root"});')
    principal = authenticator.authenticate(token, NOW)
    assert (principal.resource, principal.right) == (VAULT, Right.DATA)


def test_facts_of_the_authority_block_give_nothing(authenticator: BiscuitAuthenticator, mint: Mint) -> None:
    token = mint.raw(f'resource("{VAULT}"); rights({{,}});', authority='rights({"root"}); resource("other");')
    principal = authenticator.authenticate(token, NOW)
    assert (principal.resource, principal.right) == (VAULT, Right.DATA)
    assert refused(authenticator, mint.raw("owner(1);", authority=f'resource("{VAULT}"); rights({{"root"}});'))


def test_a_later_third_party_block_gives_nothing(authenticator: BiscuitAuthenticator, mint: Mint) -> None:
    stranger = biscuit_auth.KeyPair()
    token = third_party(mint.open(mint.token()), stranger, 'rights({"root"}); resource("other");').to_base64()
    principal = authenticator.authenticate(token, NOW)
    assert (principal.resource, principal.right) == (VAULT, Right.DATA)


def test_a_second_block_of_the_service_key_is_refused(
    authenticator: BiscuitAuthenticator, mint: Mint, keys: TokenKeys
) -> None:
    token = third_party(mint.open(mint.token()), pair(keys.service.reveal()), 'rights({"root"});').to_base64()
    assert refused(authenticator, token) == "more than one block is signed by the service key"


def test_the_second_block_must_be_the_services(authenticator: BiscuitAuthenticator, mint: Mint) -> None:
    facts = f'resource("{VAULT}"); rights({{"root"}});'
    stranger = biscuit_auth.KeyPair()
    assert "unknown service key" in refused(authenticator, mint.raw(facts, service=stranger.private_key))
    root = pair(mint.keys.root.reveal())
    bare = biscuit_auth.BiscuitBuilder(facts).build(root.private_key)
    assert "not signed" in refused(authenticator, bare.to_base64())
    first_party = bare.append(biscuit_auth.BlockBuilder(facts))
    assert "not signed" in refused(authenticator, first_party.to_base64())
    third = third_party(first_party, pair(mint.keys.service.reveal()), facts)
    assert "not signed" in refused(authenticator, third.to_base64())


def test_a_root_key_of_another_pair_is_refused(mint: Mint) -> None:
    other = TokenKeys.generate()
    mixed = BiscuitAuthenticator([(other.public[0], mint.keys.public[1]), other.public], "toto", NAMESPACE)
    assert refused(mixed, mint.token()) == "no accepted root key verifies the token"


def test_each_of_several_pairs_is_accepted(mint: Mint) -> None:
    other = TokenKeys.generate()
    both = BiscuitAuthenticator(
        [other.public, mint.keys.public, (mint.keys.public[0], other.public[1])], "toto", NAMESPACE
    )
    for keys in (other, mint.keys, TokenKeys(mint.keys.root, other.service)):
        assert both.authenticate(Mint(keys).token(), NOW).resource == VAULT
    assert both.root_public_keys[0] == f"ed25519/{other.public[0]}"


@pytest.mark.parametrize(
    "facts",
    [
        'rights({"root"});',
        f'resource("{VAULT}");',
        f'resource("{VAULT}"); resource("other"); rights({{,}});',
        f'resource("{VAULT}"); rights({{,}}); rights({{"root"}});',
        f'resource("{VAULT}"); rights({{"root", "operator"}});',
        f'resource("{VAULT}"); rights({{"admin"}});',
        f'resource("{VAULT}"); rights("root");',
        f'resource("{VAULT}"); rights(["root"]);',
        f'resource("{VAULT}"); rights({{"root"}}); owner({{"a"}});',
        f'resource("{VAULT}"); rights({{"root"}}); owner("a"); owner("b");',
        'resource(1); rights({"root"});',
        'resource({"a"}); rights({"root"});',
        'resource(null); rights({"root"});',
        f'resource("{VAULT}", "b"); rights({{"root"}});',
        f'resource("{VAULT}"); resource(1); rights({{"root"}});',
    ],
)
def test_an_unclear_second_block_is_refused(
    authenticator: BiscuitAuthenticator, mint: Mint, facts: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "second block" in refused(authenticator, mint.raw(facts))
    assert "panicked" not in capfd.readouterr().err


def test_a_quote_in_the_owner_does_not_give_rights(authenticator: BiscuitAuthenticator, mint: Mint) -> None:
    builder = biscuit_auth.BlockBuilder(
        "resource({r}); rights({,}); owner({o});", {"r": VAULT, "o": 'x");\nrights({"root"});\nresource("y'}
    )
    root, service = pair(mint.keys.root.reveal()), pair(mint.keys.service.reveal())
    token = biscuit_auth.BiscuitBuilder("").build(root.private_key)
    token = token.append_third_party(
        service.public_key, token.third_party_request().create_block(service.private_key, builder)
    )
    principal = authenticator.authenticate(token.to_base64(), NOW)
    assert (principal.resource, principal.right) == (VAULT, Right.DATA)


@pytest.mark.parametrize("privilege", [Privilege.TENANT, Privilege.TENANT_OPERATOR])
@pytest.mark.parametrize(
    "resource",
    [
        *("", "root", "Root", "ROOT", "/root/", "root/", "%72oot", "/", ".", "..", "a/b", "a\x00", "a\n", " a"),
        *("é", "-a", "a" * 129, NAMESPACE, NAMESPACE.upper()),
    ],
)
def test_no_tenant_name_reaches_the_node(
    authenticator: BiscuitAuthenticator, mint: Mint, privilege: Privilege, resource: str
) -> None:
    assert "resource" in refused(authenticator, mint.token_for_anything(resource, privilege))


@pytest.mark.parametrize("resource", [VAULT, "", "root", "kms-c2", NAMESPACE.upper(), f"{NAMESPACE}/"])
def test_an_operator_is_one_of_this_cluster_only(
    authenticator: BiscuitAuthenticator, mint: Mint, resource: str
) -> None:
    assert "another cluster" in refused(authenticator, mint.token_for_anything(resource, Privilege.CLUSTER_OPERATOR))


def test_an_expired_token_is_refused_fresh_and_from_the_cache(
    authenticator: BiscuitAuthenticator, mint: Mint
) -> None:
    token = mint.token(ttl=60)
    assert authenticator.authenticate(token, NOW + 59.9).expires_at == NOW + 60
    assert authenticator.authenticate(token, NOW + 59.9).expires_at == NOW + 60
    assert refused(authenticator, token, NOW + 60) == "token has expired"
    assert refused(authenticator, token, NOW + 60) == "token has expired"
    assert (authenticator.hits, authenticator.misses) == (1, 1)


def test_a_time_fact_of_the_holder_does_not_outlive_the_expiry(
    authenticator: BiscuitAuthenticator, mint: Mint
) -> None:
    token = mint.narrowed(mint.token(ttl=60), "time(1970-01-01T00:00:00Z);")
    assert refused(authenticator, token, NOW + 60) == "token has expired"


def test_limits_hold_before_any_signature_is_checked(
    authenticator: BiscuitAuthenticator, mint: Mint, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = mint.token()
    for _ in range(14):
        token = mint.narrowed(token, "")
    assert authenticator.authenticate(token, NOW).right is Right.DATA
    longer = mint.narrowed(token, "")
    monkeypatch.setattr(biscuit_module, "_verified", lambda *_: pytest.fail("verified"))
    assert refused(authenticator, longer) == "token has too many blocks"
    assert refused(authenticator, "A" * (wire.MAX_TOKEN_LENGTH + 1)) == "token is empty or too long"


@pytest.mark.parametrize(
    "token", ["", "=", "A", "====", "not a token", "hvs.CAESIJ", "é" * 30, "+/+/", "AAAA", "\x00"]
)
def test_garbage_is_refused(authenticator: BiscuitAuthenticator, token: str) -> None:
    assert refused(authenticator, token)


def test_a_panic_of_the_library_is_a_refusal(
    authenticator: BiscuitAuthenticator, mint: Mint, monkeypatch: pytest.MonkeyPatch
) -> None:
    panic = biscuit_auth.Fact('rights({"a"})')
    monkeypatch.setattr(biscuit_module, "_verified", lambda *_: panic.terms)
    assert refused(authenticator, mint.token()) == "the biscuit library panicked"


def test_an_interrupt_is_not_contained(
    authenticator: BiscuitAuthenticator, mint: Mint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(biscuit_module, "_verified", interrupt)
    with pytest.raises(KeyboardInterrupt):
        authenticator.authenticate(mint.token(), NOW)


def test_the_cache_is_bounded_in_number(keys: TokenKeys, mint: Mint) -> None:
    authenticator = BiscuitAuthenticator([keys.public], "toto", NAMESPACE, cache_size=4)
    tokens = [mint.token(f"vault_{n}") for n in range(6)]
    for token in tokens[:4]:
        authenticator.authenticate(token, NOW)
    authenticator.authenticate(tokens[0], NOW)
    authenticator.authenticate(tokens[4], NOW)
    assert list(authenticator._cache.keys()) == [tokens[2], tokens[3], tokens[0], tokens[4]]


@pytest.mark.parametrize(
    "datalog", ["", 'check if path("a");', f'note("{"x" * 3000}");'], ids=["plain", "checks", "long"]
)
def test_a_flood_of_tokens_stays_within_the_bytes_and_leaves_a_token_in_use(
    keys: TokenKeys, mint: Mint, datalog: str
) -> None:
    limit = 100_000
    authenticator = BiscuitAuthenticator([keys.public], "toto", NAMESPACE, cache_bytes=limit)
    hot = mint.token("vault_hot")
    authenticator.authenticate(hot, NOW)
    for number in range(100):
        token = mint.token(f"vault_{number}")
        authenticator.authenticate(mint.narrowed(token, datalog) if datalog else token, NOW)
        authenticator.authenticate(hot, NOW)
        assert 0 < authenticator.cached_bytes <= limit
    assert authenticator.misses == 101
    assert len(authenticator._cache) < 100


def test_tokens_with_checks_count_for_more(keys: TokenKeys, mint: Mint) -> None:
    plain, checked = (BiscuitAuthenticator([keys.public], "toto", NAMESPACE) for _ in range(2))
    token = mint.narrowed(mint.token("vault_1"), 'note("a");')
    plain.authenticate(token, NOW)
    checked.authenticate(mint.narrowed(mint.token("vault_1"), 'check if path("a");'), NOW)
    assert plain.cached_bytes - len(token) < 2_000
    assert checked.cached_bytes > 8_000


def test_refusals_are_not_cached(authenticator: BiscuitAuthenticator, mint: Mint) -> None:
    for _ in range(3):
        refused(authenticator, mint.token_for_anything("root", Privilege.TENANT))
    assert len(authenticator._cache) == authenticator.cached_bytes == 0


def test_a_cached_token_costs_a_dictionary_look_up(
    authenticator: BiscuitAuthenticator, mint: Mint, access: Callable[..., Access]
) -> None:
    token, use = mint.token(ttl=60), access()
    authenticator.authenticate(token, NOW)
    best = 1.0
    gc.disable()
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(500):
            authenticator.authenticate(token, NOW).allows(use)
        best = min(best, (time.perf_counter() - start) / 500)
    gc.enable()
    assert best < 5e-6  # 0.5 µs where this was written; verifying takes 300


def test_no_repr_shows_a_token(authenticator: BiscuitAuthenticator, mint: Mint) -> None:
    token = mint.token()
    principal = authenticator.authenticate(token, NOW)
    assert token[:20] not in repr((principal, authenticator, authenticator._cache))
    assert repr(principal) == f"<BiscuitPrincipal of {VAULT} with right data>"
