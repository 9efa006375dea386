from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kms_actors.auth import wire
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.build import Privilege
from kms_actors.auth.keys import TokenKeys
from kms_actors.auth.principal import Access, Capability, Right
from kms_actors.cli.client import main
from kms_actors.cli.key_file import write_key_file
from tests.auth.mint import Mint
from tests.support.walkthrough import SAMPLE_TOKENS

VAULT = "vault_8fa9b31c-4c55-4f11-b9bf-6a656c678906"
KEYS = TokenKeys.generate()
PRIVATE = {
    "KMS_ROOT_PRIVATE_KEY": KEYS.root.reveal().hex(),
    "KMS_SERVICE_PRIVATE_KEY": f"ed25519-private/{KEYS.service.reveal().hex()}",
}
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in (*PRIVATE, "KMS_KEYS_FILE", "KMS_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str, text: str = "", **env: str) -> Result:
        result = CliRunner().invoke(main, list(arguments), input=text, env=dict(env))
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return call


def make(run: Run, *options: str) -> str:
    result = run("biscuit", "--addon-id", VAULT, "--privilege", "tenant", *options, **PRIVATE)
    assert result.exit_code == 0
    return result.output.splitlines()[0].removeprefix("Token: ")


def authenticator() -> BiscuitAuthenticator:
    return BiscuitAuthenticator([KEYS.public], "toto", "kms-c1")


@pytest.mark.parametrize(
    ("privilege", "addon", "right"),
    [
        ("cluster-operator", "kms-c1", Right.OPERATOR),
        ("tenant-operator", VAULT, Right.ROOT),
        ("tenant", VAULT, Right.DATA),
    ],
)
def test_a_token_is_printed_in_three_lines(run: Run, privilege: str, addon: str, right: Right) -> None:
    result = run("biscuit", "--addon-id", addon, "--privilege", privilege, "--owner", "orga_9", **PRIVATE)
    assert result.exit_code == 0
    token, root, service = result.output.splitlines()
    assert re.fullmatch(r"Token: [A-Za-z0-9_=-]+", token)
    assert root == f"Root Public Key ed25519/{KEYS.public[0]}"
    assert service == f"Service Public Key ed25519/{KEYS.public[1]}"
    principal = authenticator().authenticate(token.removeprefix("Token: "), 0)
    assert (principal.resource, principal.right, principal.expires_at) == (addon, right, None)
    assert principal.metadata == {"owner": "orga_9"}


def test_keys_come_from_options_a_file_or_the_default_file(run: Run) -> None:
    def public(*options: str, **env: str) -> str:
        result = run("biscuit", "--addon-id", "v", "--privilege", "tenant", *options, **env)
        assert result.exit_code == 0
        return result.output.splitlines()[1]

    expected = f"Root Public Key ed25519/{KEYS.public[0]}"
    options = ("--root-private-key", PRIVATE["KMS_ROOT_PRIVATE_KEY"])
    assert public(*options, "--service-private-key", PRIVATE["KMS_SERVICE_PRIVATE_KEY"]) == expected
    write_key_file(Path("other.toml"), KEYS)
    assert public("--keys", "other.toml") == expected
    assert public(KMS_KEYS_FILE="other.toml") == expected
    Path("other.toml").rename("kms-keys.toml")
    assert public() == expected


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "--addon-id and --privilege"),
        (["--addon-id", "v"], "--addon-id and --privilege"),
        (["--addon-id", "v", "--privilege", "king"], "king"),
        (["--addon-id", "v", "--privilege", "tenant"], "kms-cli keys"),
        (["--addon-id", "v", "--privilege", "tenant", "--ttl", "soon"], "a duration is like"),
        (["--addon-id", "v", "--privilege", "tenant", "--ttl", "999999999999d"], "a duration is at most 365000d"),
        (["attenuate", "t", "--ttl", "999999999999"], "a duration is at most 365000d"),
        (["--addon-id", "v", "--privilege", "tenant", "--root-private-key", "cafe"], "64 hex digits"),
        (["--addon-id", "v", "--privilege", "tenant", "--root-private-key", "a" * 64], "both private keys"),
        (["--addon-id", "v", "--privilege", "tenant", "--keys", "bad.toml"], "root_private_key"),
        (["--addon-id", "v", "--privilege", "tenant", "--keys", "worse.toml"], "not TOML"),
        (["--addon-id", "bad id!", "--privilege", "tenant"], "1 to 128 letters, digits"),
        (["--addon-id", "root", "--privilege", "tenant-operator"], "neither `root` nor the namespace"),
        (["--addon-id", "x" * 200, "--privilege", "tenant"], "1 to 128 letters, digits"),
        (["--addon-id", "kms-c1", "--privilege", "tenant", "--namespace", "kms-c1"], "nor the namespace"),
        (["--addon-id", "kms-c1", "--privilege", "tenant", "--configuration", "node.toml"], "nor the namespace"),
        (["--addon-id", "kms-c2", "--privilege", "cluster-operator", "--namespace", "kms-c1"], "called kms-c1"),
        (
            ["--addon-id", "v", "--privilege", "tenant", "--configuration", "node.toml", "--namespace", "kms-c2"],
            "--namespace or --configuration, not both",
        ),
        (["attenuate", "AAAA", "--path", "/v1/secret/data/app/*"], "without `/v1/`"),
        (["attenuate", "AAAA"], "nothing to narrow"),
        (["attenuate", "AAAA", "--operation", "steal"], "steal"),
        (["attenuate", "AAAA", "--path", "a*b"], "path"),
        (["attenuate"], "no token on standard input"),
    ],
)
def test_wrong_input_ends_with_code_2_and_says_what(run: Run, arguments: list[str], text: str) -> None:
    Path("bad.toml").write_text('root_private_key = "CANARY"\n')
    Path("worse.toml").write_text("CANARY CANARY")
    Path("node.toml").write_text(
        '[master_keyring_provider]\nnamespace = "kms-c1"\nnode_name = "n"\n'
        f'[authenticator.provider]\nkeys = [["{KEYS.public[0]}", "{KEYS.public[1]}"]]\nservice = "toto"\n'
    )
    result = run("biscuit", *arguments)
    assert result.exit_code == 2
    assert text in result.output
    assert "cafe" not in result.output
    assert "CANARY" not in result.output


def test_a_key_file_can_name_the_namespace(run: Run) -> None:
    assert run("keys", "--namespace", "kms-c1").exit_code == 0
    assert run("biscuit", "--addon-id", "kms-c1", "--privilege", "cluster-operator").exit_code == 0
    for privilege in ("tenant", "tenant-operator"):
        refused = run("biscuit", "--addon-id", "KMS-c1", "--privilege", privilege)
        assert (refused.exit_code, "nor the namespace" in refused.output) == (2, True)
    assert run("biscuit", "--addon-id", "kms-c2", "--privilege", "cluster-operator").exit_code == 2
    assert run("biscuit", "--addon-id", "kms-c2", "--privilege", "tenant").exit_code == 0
    other = run("biscuit", "--addon-id", "kms-c2", "--privilege", "cluster-operator", "--namespace", "kms-c2")
    assert other.exit_code == 0
    assert run("keys", "--output", "other.toml", "--namespace", 'a"b').exit_code == 2
    assert not Path("other.toml").exists()


def test_a_missing_file_ends_with_code_1(run: Run) -> None:
    result = run("biscuit", "--addon-id", "v", "--privilege", "tenant", "--keys", "nowhere.toml")
    assert (result.exit_code, result.output) == (1, "Error: nowhere.toml: no such file\n")


@pytest.mark.parametrize(
    ("ttl", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("1h", 3600), ("1d12h", 129600)]
)
def test_a_ttl_ends_the_token(run: Run, ttl: str, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kms_actors.cli.biscuit.commands.time.time", lambda: 1_800_000_000.9)
    assert authenticator().authenticate(make(run, "--ttl", ttl), 0).expires_at == 1_800_000_000 + seconds


def test_inspect_shows_blocks_checks_revocation_ids_and_the_end(run: Run) -> None:
    token = make(run, "--ttl", "1h")
    narrowed = run("biscuit", "attenuate", "-", "--path", "secret/data/app/*", text=f"Token: {token}\nRoot …\n")
    result = run("biscuit", "inspect", text=narrowed.output)
    assert result.exit_code == 0
    lines = [line.strip() for line in result.output.splitlines()]
    assert "Block 0: authority, signed by the root key" in lines
    assert f"Block 1: third party, signed by ed25519/{KEYS.public[1]}" in lines
    assert "Block 2: added by a holder" in lines
    assert f'resource("{VAULT}");' in lines
    assert 'check if path($p), $p.starts_with("secret/data/app/");' in lines
    for block in wire.parse(wire.decode(narrowed.output.strip())).blocks:
        assert f"Revocation id: {block.signature.hex()}" in lines
    assert re.search(r"^Expires: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", result.output, re.MULTILINE)
    assert lines[-1].startswith("Verified: not checked")


def test_inspect_says_in_words_what_a_token_is(run: Run) -> None:
    token = make(run, "--owner", "orga_9")
    narrow = ("--path", "secret/data/app/*", "--path", "secret/+/b", "--operation", "read")
    narrowed = run("biscuit", "attenuate", "-", *narrow, text=token).output
    lines = run("biscuit", "inspect", text=narrowed).output.splitlines()
    assert lines[:6] == [
        "Kind: tenant (data of one vault)",
        f"Vault: {VAULT}",
        "Owner: orga_9",
        "Expires: never",
        "Narrowed to: path secret/data/app/* or secret/+/b",
        "Narrowed to: operation read",
    ]
    operator = run("biscuit", "--addon-id", "kms-c1", "--privilege", "cluster-operator", **PRIVATE).output
    lines = run("biscuit", "inspect", text=operator).output.splitlines()
    assert lines[:2] == ["Kind: cluster operator (initialises, unseals and seals nodes)", "Cluster: kms-c1"]
    assert "Narrowed to: nothing; it does all that its kind may" in lines


def test_policies_take_the_place_of_all_data(run: Run) -> None:
    token = make(run, "--policy", "app", "--policy", "web")
    assert authenticator().authenticate(token, 0).right is Right.POLICY
    lines = run("biscuit", "inspect", "-", text=token).output.splitlines()
    assert "Kind: tenant with policies (what its policies allow in one vault)" in lines
    assert "Policies: default, app, web" in lines


def test_inspect_says_that_the_time_of_a_token_is_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    token = make(run, "--ttl", "1h")
    assert "over" not in run("biscuit", "inspect", text=token).output
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    result = run("biscuit", "inspect", text=token)
    assert re.search(r"^Expires: \S+Z, which is over: servers refuse it$", result.output, re.MULTILINE)
    assert json.loads(run("biscuit", "inspect", "--json", text=token).output)["expired"] is True


def test_root_is_no_policy_of_a_token(run: Run) -> None:
    result = run("biscuit", "--addon-id", VAULT, "--privilege", "tenant", "--policy", "root", **PRIVATE)
    assert result.exit_code == 2
    assert "no token names the policy root" in result.output


def test_inspect_says_why_servers_refuse_a_token(run: Run) -> None:
    mint = Mint(KEYS)
    for datalog in ("", 'resource("v"); rights({"king"});', 'resource("v"); rights({,}); owner(1);'):
        assert "Kind: unknown, servers refuse it" in run("biscuit", "inspect", text=mint.raw(datalog)).output
    root = mint.token_for_anything("root", Privilege.TENANT)
    assert "Refused by servers: the resource names the cluster" in run("biscuit", "inspect", text=root).output


def test_inspect_knows_tokens_of_2024(run: Run) -> None:
    token = SAMPLE_TOKENS["tenant_operator"]
    keys = [SAMPLE_TOKENS[name] for name in ("root_public_key", "service_public_key")]
    shown = run("biscuit", "inspect", text=token)
    assert shown.exit_code == 0
    assert shown.output.splitlines()[0].startswith("Kind: tenant operator")
    assert "accept_first_signatures" in shown.output
    options = ("--root-public-key", keys[0], "--service-public-key", keys[1])
    assert run("biscuit", "inspect", *options, text=token).output.endswith("root and service public key\n")
    assert run("biscuit", "inspect", "--root-public-key", keys[1], text=token).exit_code == 1
    assert "first signature scheme" in run("biscuit", "attenuate", "--ttl", "1h", text=token).output


def test_a_token_past_what_servers_take_is_not_made(run: Run) -> None:
    paths = [part for n in range(80) for part in ("--path", f"secret/data/{'x' * 60}{n}/*")]
    refused = run("biscuit", "attenuate", "-", *paths, text=make(run))
    assert (refused.exit_code, "servers take 8,192" in refused.output) == (1, True)


def test_inspect_says_whether_a_token_verifies(run: Run) -> None:
    token, other = make(run), TokenKeys.generate()
    root = KEYS.public[0]
    good = run("biscuit", "inspect", token, "--root-public-key", root)
    assert (good.exit_code, good.output.splitlines()[-1]) == (0, "Verified: yes, with root public key")
    write_key_file(Path("k.toml"), KEYS)
    good = run("biscuit", "inspect", token, "--keys", "k.toml")
    assert (good.exit_code, good.output.splitlines()[-1]) == (0, "Verified: yes, with root and service public key")
    bad = run("biscuit", "inspect", token, "--root-public-key", other.public[0])
    assert (bad.exit_code, "does not verify" in bad.output) == (1, True)
    bad = run("biscuit", "inspect", token, "--root-public-key", root, "--service-public-key", root)
    assert (bad.exit_code, "not signed by the service key" in bad.output) == (1, True)


def test_inspect_tells_of_a_token_that_it_cannot_verify_and_says_so(run: Run) -> None:
    token, other = make(run, "--policy", "app"), TokenKeys.generate()
    narrowed = run("biscuit", "attenuate", "-", "--path", "secret/data/app/*", text=token).output
    told = run("biscuit", "inspect", "-", "--root-public-key", other.public[0], text=narrowed)
    lines = told.output.splitlines()
    assert told.exit_code == 1
    assert lines[0] == "Kind: tenant with policies (what its policies allow in one vault)"
    assert {f"Vault: {VAULT}", "Policies: default, app", "Narrowed to: path secret/data/app/*"} <= set(lines)
    assert lines[-1].startswith("Verified: no: the root public key does not verify this token")
    unverified = run("biscuit", "inspect", text=narrowed).output.splitlines()
    assert unverified[:-1] == lines[:-1]
    assert "not checked" in unverified[-1]


def test_inspect_says_who_knows_what_a_service_token_may_do(run: Run) -> None:
    told = run("biscuit", "inspect", text="hvs." + "a" * 24)
    assert (told.exit_code, "vault token lookup" in told.output) == (1, True)


_NAMES = st.one_of(
    st.sampled_from(["kms-c1", "KMS-C1", "root", "Root", "v", "vault_1", "", ".", "..", "a/b", "x" * 128, "x" * 129]),
    st.text(max_size=8),
)
_TTLS = st.sampled_from([(), ("--ttl", "0"), ("--ttl", "1"), ("--ttl", "1h"), ("--ttl", "999999999999d")])


@given(
    addon=_NAMES,
    privilege=st.sampled_from(list(Privilege)),
    owner=st.text(max_size=20),
    policies=st.lists(st.one_of(st.sampled_from(["root", "ROOT", "default", "app", "", " "]), st.text(max_size=5))),
    ttl=_TTLS,
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_token_is_made_that_the_server_refuses(  # noqa: PLR0917 - what is drawn
    run: Run, addon: str, privilege: Privilege, owner: str, policies: list[str], ttl: tuple[str, ...]
) -> None:
    named = [word for policy in policies for word in (f"--policy={policy}",)]
    words = [
        f"--addon-id={addon}",
        f"--privilege={privilege}",
        f"--owner={owner}",
        "--namespace=kms-c1",
        *named,
        *ttl,
    ]
    made = run("biscuit", "--quiet", *words, **PRIVATE)
    if made.exit_code == 0:
        assert authenticator().authenticate(made.output.strip(), 0).resource == addon
    else:
        assert made.stderr.splitlines()[-1].startswith("Error: ")


_PATHS = st.one_of(
    st.sampled_from(["secret/data/app/*", "/v1/x", "a//b", "a/../b", "a/+/b", "a*b", "", "*", "+", "x" * 5121]),
    st.text(max_size=10),
)


@given(
    paths=st.lists(_PATHS, max_size=4),
    operations=st.lists(st.sampled_from([each.value for each in Capability]), max_size=3),
    mounts=st.lists(st.one_of(st.sampled_from(["secret", "/", "a*"]), st.text(max_size=5)), max_size=2),
    times=st.integers(1, 17),
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_token_is_narrowed_to_what_the_server_refuses(
    run: Run, paths: list[str], operations: list[str], mounts: list[str], times: int
) -> None:
    words = [f"--path={path}" for path in paths]
    words += [f"--operation={each}" for each in operations] + [f"--mount={mount}" for mount in mounts]
    token = make(run)
    for _ in range(times):
        narrowed = run("biscuit", "attenuate", "--quiet", "-", *words, text=token)
        if narrowed.exit_code != 0:
            assert narrowed.stderr.splitlines()[-1].startswith("Error: ")
            return
        token = narrowed.output.strip()
        assert authenticator().authenticate(token, 0).resource == VAULT


def test_inspect_does_not_let_a_token_steer_the_terminal(run: Run) -> None:
    token = make(run, "--owner", "\x1b[2J\x07orga\u202e")
    result = run("biscuit", "inspect", token)
    assert "\\x1b[2J\\x07orga\\x202e" in result.output
    assert not {"\x1b", "\x07", "\u202e"} & set(result.output)


@pytest.mark.parametrize("command", [["inspect"], ["attenuate", "--ttl", "1h"]])
@pytest.mark.parametrize("token", ["garbage!", "hvs.CAESIJ", "AAAA", "A" * 9000])
def test_what_is_no_token_ends_with_code_1_and_is_not_repeated(run: Run, command: list[str], token: str) -> None:
    result = run("biscuit", *command, text=token)
    assert result.exit_code == 1
    assert token not in result.output
    assert result.output.startswith("Error: ")


def test_attenuate_needs_no_keys_and_narrows(run: Run) -> None:
    token = make(run)
    options = ["--ttl", "1h", "--path", "secret/data/app/*", "--operation", "read", "--mount", "secret"]
    result = run("biscuit", "attenuate", "-", *options, "--service", "toto", text=token)
    assert result.exit_code == 0
    principal = authenticator().authenticate(result.output.strip(), 0)
    end = principal.expires_at
    assert end is not None

    def allowed(operation: Capability, path: str, mount: str = "secret/") -> bool:
        return principal.allows(
            Access(operation=operation, path=path, mount=mount, method="GET", client_ip="::1", time=end - 1)
        )

    assert allowed(Capability.READ, "secret/data/app/db")
    assert not allowed(Capability.UPDATE, "secret/data/app/db")
    assert not allowed(Capability.READ, "secret/data/other")
    assert not allowed(Capability.READ, "secret/data/app/db", "secret/data/")


def test_private_keys_are_never_printed(run: Run) -> None:
    outputs = [
        run("biscuit", "--addon-id", "v", "--privilege", "tenant", **PRIVATE).output,
        run("biscuit", "--help", **PRIVATE).output,
        run("biscuit", "--addon-id", "v", "--privilege", "king", **PRIVATE).output,
        run("biscuit", "--addon-id", "v", "--privilege", "tenant", "--ttl", "0", **PRIVATE).output,
    ]
    for key in (KEYS.root, KEYS.service):
        assert not any(key.reveal().hex() in output for output in outputs)


def test_each_help_has_an_example(run: Run) -> None:
    for command in ([], ["biscuit"], ["biscuit", "inspect"], ["biscuit", "attenuate"]):
        result = run(*command, "--help")
        assert result.exit_code == 0
        assert f"  kms-cli {' '.join(command)}".rstrip() in result.output
    assert all(privilege.value in run("biscuit", "-h").output for privilege in Privilege)
