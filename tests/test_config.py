"""Configuration: what is accepted, how each mistake is named, and that its reference is true.

The kind: a mistake told by a library, in its types and exceptions. What is allowed is derived from the field's type
(`kms_actors.allowed`), so a new key needs no text; each key is tried with wrong values of every type.
"""

import errno
import os
import re
import socket
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli

from kms_actors import config
from kms_actors.auth.keys import TokenKeys
from kms_actors.system_errors import in_words

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs/config/configuration.md"

ROOT_KEY, SERVICE_KEY = TokenKeys.generate().public

WALK = f"""
port = 8202

[cluster]
api_version = 730
cluster_file_path = "/etc/foundationdb/fdb.cluster"

[root_tenant_keyring_provider]
name = "shamir"

[master_keyring_provider]
name = "shamir"
namespace = "kms-c1"
node_name = "kms-c1-n1"

[authenticator]
name = "biscuit"
[authenticator.provider]
name = "iam"
keys = [["{ROOT_KEY}", "{SERVICE_KEY}"]]
service = "toto"
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "kms.toml"
    path.write_text(text)
    with pytest.raises(config.ConfigurationError) as caught:
        config.load(path)
    assert all(line.startswith(f"{path}: ") for line in str(caught.value).splitlines())
    return caught.value.problems


def test_sizes_are_bytes_with_a_unit(tmp_path: Path) -> None:
    path = tmp_path / "kms.toml"
    path.write_text(WALK + '[cache]\ntokens = "512 kB"\ntenants = "1GiB"\n')
    cache = config.load(path).cache
    assert [config.bytes_of(size) for size in (cache.tokens, cache.tenants)] == [512_000, 2**30]


@pytest.mark.parametrize("size", ['"0 MiB"', '"64"', '"64 mib"', '"-1 MB"', '" 1 MB"', '"1.5 GB"'])
def test_what_is_no_size_is_named(tmp_path: Path, size: str) -> None:
    text = WALK + f"[cache]\ntokens = {size}\n"
    assert problems(tmp_path, text) == ["key `cache.tokens`: must be a size such as `64 MiB`"]


def test_no_tenant_may_hold_more_keys_than_half_of_what_all_may_hold(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, WALK + '[cache]\ntenants = "20 MiB"\n')
    assert problem.startswith("key `cache.tenant_keys`: at most half")


def test_one_body_fits_into_what_all_of_them_may_hold(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, WALK + '[limits]\nbody_bytes = "31 MiB"\n')
    assert problem == "key `limits.body_bytes`: at least `32 MiB`, which one body may have"


def rows(section: type[config.Section] = config.Configuration, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield key, default and description of every key, as the reference should have them."""
    hints = typing.get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        nested = config.section_of(field.type)
        if nested is not None:
            yield from rows(nested, f"{prefix}{field.name}.")
        else:
            default = "required" if field.required else f"`{msgspec.json.encode(field.default).decode()}`"
            yield f"{prefix}{field.name}", "none" if default == "`null`" else default, _description(hints[field.name])


def _description(hint: Any) -> str:
    metas = [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    return next(meta.description for meta in metas if meta.description)


def test_the_configuration_of_the_walk_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "kms.toml"
    path.write_text(WALK)

    loaded = config.load(path)

    assert loaded.port == 8202
    assert loaded.cluster.backend == "foundationdb"
    assert loaded.master_keyring_provider.namespace == "kms-c1"
    assert loaded.authenticator.provider.keys == ((ROOT_KEY, SERVICE_KEY),)
    assert loaded.tls is None


@pytest.mark.parametrize("name", ["shamir.toml", "embedded.toml"])
def test_the_files_of_the_project_are_accepted(name: str) -> None:
    assert config.load(ROOT / "config" / name).port == 8202


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("port = 8202", "port = 8202\nprot = 1"), "unknown key `prot`: did you mean `port`?"),
        (
            ("port = 8202", "port = 8202\nlease_seconds = 1"),
            "unknown key `lease_seconds`: it is no key of the top; did you mean `tenants.lease_seconds`?",
        ),
        (("[cluster]", "[cluster]\nfoo = 1"), "unknown key `cluster.foo`"),
        (("port = 8202", 'port = "x"'), "key `port`: must be a whole number from 0 to 65535"),
        (("port = 8202", "port = 70000"), "key `port`: must be a whole number from 0 to 65535"),
        (('node_name = "kms-c1-n1"', ""), "missing key `master_keyring_provider.node_name`"),
        (('name = "iam"', 'name = "ldap"'), "key `authenticator.provider.name`: must be `iam`"),
        ((f'"{ROOT_KEY}"', '"a1"'), "key `authenticator.provider.keys`: each key is 64 hex characters"),
        (
            ('namespace = "kms-c1"', 'namespace = "../x"'),
            (
                "key `master_keyring_provider.namespace`: must be 1 to 128 letters, digits, `_`, `.` or `-`, the "
                "first a letter or digit"
            ),
        ),
        (("[authenticator]", "[tls]\n[authenticator]"), "missing key `tls.certificate_file`"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    assert expected in problems(tmp_path, WALK.replace(*change, 1))


@pytest.mark.parametrize("key", ["00" * 32, "01" + "00" * 31, "ff" * 32, "ec" + "ff" * 30 + "7f"])
def test_public_keys_that_are_none_or_that_anybody_can_sign_for_are_refused(tmp_path: Path, key: str) -> None:
    reason = "each key is an Ed25519 public key, as `kms-cli keys` prints it"
    for name in (ROOT_KEY, SERVICE_KEY):
        assert problems(tmp_path, WALK.replace(name, key)) == [f"key `authenticator.provider.keys`: {reason}"]


def test_one_port_for_both_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, WALK + "[metrics]\nport = 8202\n") == [
        "key `metrics.port`: must be another than `port`"
    ]
    path = tmp_path / "kms.toml"
    path.write_text(WALK + '[metrics]\nport = 8202\nhost = "192.0.2.1"\n')
    assert config.load(path).metrics.host == "192.0.2.1"


def test_all_wrong_keys_are_named_at_once(tmp_path: Path) -> None:
    text = WALK.replace("port = 8202", "port = -1\nx = 1").replace("api_version = 730", "api_version = 1")
    assert len(problems(tmp_path, text)) == 3


def test_a_rejected_value_is_not_echoed(tmp_path: Path) -> None:
    text = WALK.replace('name = "iam"', 'name = "canary-5f1c"')
    assert "canary" not in "\n".join(problems(tmp_path, text))


def test_a_table_given_as_a_value_is_named(tmp_path: Path) -> None:
    assert problems(
        tmp_path, "cluster = 3\n" + WALK.replace("[cluster]", "[metrics]").replace("api_version = 730", "")
    )


@pytest.mark.parametrize("text", ["port = ", "\x00"])
def test_what_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)[0].startswith("not TOML: ")


def test_a_mark_at_the_beginning_as_some_editors_write_it_is_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "kms.toml"
    path.write_text(f"\ufeff{WALK}")
    assert config.load(path).port == 8202


def test_a_file_that_cannot_be_read_is_told_in_words(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.toml", "no such file"), (tmp_path, "is a directory")):
        with pytest.raises(config.ConfigurationError) as caught:
            config.load(path)
        assert str(caught.value) == f"{path}: cannot be read: {reason}"
    (tmp_path / "latin.toml").write_bytes(b'host = "\xe4"')
    with pytest.raises(config.ConfigurationError, match="not TOML: not UTF-8 text"):
        config.load(tmp_path / "latin.toml")


def test_why_the_system_refuses_is_told_in_words() -> None:
    assert in_words(PermissionError(errno.EACCES, "x")) == "not permitted"
    assert in_words(OSError(errno.ENOSPC, "x")) == "no space left on device"
    assert in_words(OSError()) == "no reason is given"
    assert in_words(socket.gaierror(socket.EAI_NONAME, "x")) == "no such host"


def keys(section: type[config.Section] = config.Configuration, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key with the type of its value, tables as well."""
    for field in msgspec.structs.fields(section):
        yield f"{prefix}{field.name}", field.type
        nested = config.section_of(field.type)
        if nested is not None:
            yield from keys(nested, f"{prefix}{field.name}.")


def placed(key: str, value: Any) -> tuple[dict[str, Any], str]:
    """Return a file that has a value there, and what the key is called: of a list of tables it is the first one's."""
    tree: dict[str, Any] = tomli.loads(WALK)
    *tables, name = key.split(".")
    table = tree
    if tables[:1] == ["listeners"]:
        del tree["port"]
        tree["listeners"] = [table := {}]
        tables = tables[1:]
        key = key.replace("listeners.", "listeners[0].", 1)
    for part in tables:
        table = table.setdefault(part, {})
    table[name] = value
    return tree, key


#: Of which no field takes all: a wrong type for one is a wrong value, or good, for another.
WRONG = (-1, "", "\x00canary", True, [["canary"]], 1.5, {"canary": 1}, 2**70)


@pytest.mark.parametrize(("key", "kind"), [pytest.param(key, kind, id=key) for key, kind in keys()])
def test_whatever_is_wrong_with_a_key_what_is_allowed_is_told_in_words(tmp_path: Path, key: str, kind: Any) -> None:
    told = 0
    for value in WRONG:
        tree, place = placed(key, value)
        try:
            config.check(tree, tmp_path / "kms.toml")
        except config.ConfigurationError as error:
            named = [problem for problem in error.problems if re.search(rf"`{re.escape(place)}[`.[]", problem)]
            told += bool(named)
            text = str(error)
            assert not re.search(r"Error|Exception|Expected|`(int|str|float|bool|array)`|\bregex\b", text), text
            assert "canary" not in text.replace("`canary`", "").replace(".canary`", "")  # but an unknown key is named
    assert told >= 3


@pytest.mark.parametrize("key", [key for key, _ in keys() if key.endswith("_seconds")])
@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e9, 0.0])
def test_no_time_is_without_end(tmp_path: Path, key: str, value: float) -> None:
    tree, _ = placed(key, value)
    with pytest.raises(config.ConfigurationError, match=key):
        config.check(tree, tmp_path / "kms.toml")


SEALS = {
    "static": ("", ["key_file`: needed, or one of `master_keyring_provider.key_credential`"]),
    "transit": ("", ["transit`: needed with, and only with, the provider `transit`"]),
    "pkcs11": ("", ["pkcs11`: needed with, and only with, the provider `pkcs11`"]),
    "static, twice": ('key_file = "a"\nkey_credential = "a"', ["key_file`: needed, or one of"]),
    "static, checked": (
        'key_file = "a"\nkey_check_value = "%s"' % ("0a" * 16),
        ["key_check_value`: only with `shamir`"],
    ),
    "static, two seconds": (
        'key_file = "a"\nsecond_key_file = "b"\nsecond_key_credential = "b"',
        ["second_key_file`: not together with `master_keyring_provider.second_key_credential`"],
    ),
    "shamir, with a file": ('key_file = "a"', ["key_file`: needed with, and only with, the provider `static`"]),
    "shamir, from itself": (
        'migrate_from = "shamir"',
        ["migrate_from`: another than `master_keyring_provider.name`"],
    ),
    "shamir, from nowhere": ('migrate_from = "transit"', ["transit`: needed with, and only with"]),
    "transit, no token": (
        'transit.addresses = ["http://a"]\ntransit.key_name = "k"',
        ["transit.token`: needed, or one of"],
    ),
    "transit, half a certificate": (
        'transit = {addresses = ["http://a"], key_name = "k", token = "t", client_private_key_file = "k"}',
        ["transit.client_private_key_file`: needed with, and only with"],
    ),
    "pkcs11, no PIN, no token": (
        'pkcs11.library = "l"\npkcs11.key_label = "k"',
        ["pkcs11.token_label`: needed, or one of", "pkcs11.pin_file`: needed, or one of"],
    ),
}


@pytest.mark.parametrize("case", SEALS)
def test_a_seal_needs_what_it_is_of_and_nothing_else(tmp_path: Path, case: str) -> None:
    lines, expected = SEALS[case]
    name = case.partition(",")[0]
    text = WALK.replace('name = "shamir"\nnamespace', f'name = "{name}"\n{lines}\nnamespace')
    found = problems(tmp_path, text)
    assert all(
        each.startswith(f"key `master_keyring_provider.{start}") for each, start in zip(found, expected, strict=True)
    )


def test_no_token_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "kms.toml"
    seal = '[master_keyring_provider.transit]\naddresses = ["http://a"]\nkey_name = "k"\ntoken = "canary"\n'
    path.write_text(WALK.replace('name = "shamir"\nnamespace', 'name = "transit"\nnamespace') + seal)
    loaded = config.load(path)
    assert loaded.master_keyring_provider.transit is not None
    assert loaded.master_keyring_provider.transit.token == "canary"
    assert "canary" not in repr(loaded)


def test_a_node_has_a_worker_a_core_where_several_are_of_use(tmp_path: Path) -> None:
    def count(text: str) -> int:
        path = tmp_path / "kms.toml"
        path.write_text(text)
        return config.load(path).worker_count

    sqlite = WALK.replace("[cluster]", '[cluster]\nbackend = "sqlite"')
    assert count(WALK) == len(os.sched_getaffinity(0))
    assert count(sqlite) == 1
    assert count(WALK + '[tenants]\nunseal_scope = "node"\n') == 1
    assert count("workers = 7\n" + sqlite) == 7


def test_root_keys_of_one_process_want_one_process(tmp_path: Path) -> None:
    found = problems(tmp_path, "workers = 2\n" + WALK + '[tenants]\nunseal_scope = "node"\n')
    assert found == [
        "key `workers`: must be 1 with `tenants.unseal_scope` `node`, where each process has its own root keys"
    ]


def test_the_reference_lists_every_key_with_its_default() -> None:
    listed = re.findall(r"^\| `([\w.]+)` \| (.+?) \| (.+) \|$", REFERENCE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(rows())


LISTENED = WALK.replace("port = 8202\n", "")
TCP = '[[listeners]]\nhost = "127.0.0.1"\nport = 8202\n'
FILES = 'certificate_file = "a.pem"\nprivate_key_file = "a.key"\n'


def listeners_of(tmp_path: Path, text: str) -> tuple[config.Listener, ...]:
    path = tmp_path / "kms.toml"
    path.write_text(text)
    return tuple(listener for _, listener in config.load(path).keyed_listeners)


def test_a_single_listener_may_be_given_without_a_table(tmp_path: Path) -> None:
    [listener] = listeners_of(tmp_path, WALK + f"[tls]\n{FILES}")
    assert (listener.host, listener.port) == ("127.0.0.1", 8202)
    assert listener.tls == config.Tls(certificate_file="a.pem", private_key_file="a.key")


def test_several_listeners_each_have_a_table(tmp_path: Path) -> None:
    text = f'{LISTENED}{TCP}[listeners.tls]\n{FILES}[[listeners]]\nunix = "/run/kms.sock"\nmode = "0660"\n'
    assert [listener.place for listener in listeners_of(tmp_path, text)] == ["127.0.0.1:8202", "unix:/run/kms.sock"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WALK + TCP, "key `port`: not together with `[[listeners]]`, which takes its place"),
        (LISTENED + "[listeners]\nport = 1\n", "key `listeners`: must be a list, each a table"),
        (LISTENED + "[[listeners]]\nprot = 1\n", "unknown key `listeners[0].prot`: did you mean `port`?"),
        (LISTENED + TCP + TCP, "key `listeners[1].port`: must be another than of those before"),
        (
            LISTENED + TCP + '[[listeners]]\nhost = "x"\n',
            "key `listeners[1].port`: needed with, and only with, `listeners[1].host`",
        ),
        (
            LISTENED + TCP + 'unix = "/x"\n',
            "key `listeners[0].host`: either it with `listeners[0].port`, or `listeners[0].unix`",
        ),
        (LISTENED + TCP + 'mode = "660"\n', "key `listeners[0].mode`: needs `listeners[0].unix`"),
        (
            LISTENED + f'[[listeners]]\nunix = "/{"x" * 99}"\n',
            "key `listeners[0].unix`: at most 98 bytes, which is what a socket's name may have",
        ),
        (
            LISTENED + TCP + 'proxy_protocol_authorized_addrs = ["10.0.0.0/33"]\n',
            (
                "key `listeners[0].proxy_protocol_authorized_addrs`: must be a list of addresses, ranges such as "
                "`10.2.0.0/16`, and `unix`"
            ),
        ),
        (
            LISTENED + TCP + 'proxy_protocol_behavior = "deny_unauthorized"\n',
            "key `listeners[0].proxy_protocol_behavior`: needs `listeners[0].proxy_protocol_authorized_addrs`",
        ),
        (
            LISTENED + TCP + f'[listeners.tls]\n{FILES}client_certificates = "require"\n',
            "key `listeners[0].tls.client_ca_file`: needed with `listeners[0].tls.client_certificates` `require`",
        ),
        (
            WALK + f'[tls]\n{FILES}client_ca_file = "ca.pem"\n',
            "key `tls.client_ca_file`: needs `tls.client_certificates` `request` or `require`",
        ),
        (
            WALK + f'[tls]\n{FILES}min_version = "1.3"\nmax_version = "1.2"\n',
            "key `tls.min_version`: at most `tls.max_version`",
        ),
        (
            LISTENED + TCP + "[metrics]\nport = 8202\n",
            "key `metrics.port`: must be another than `listeners[0].port`",
        ),
        (
            WALK + f'[metrics.tls]\n{FILES}client_certificates = "request"\n',
            "key `metrics.tls.client_certificates`: must be `none` or `require`: nothing else is asked there",
        ),
    ],
)
def test_what_does_not_fit_in_listeners_is_named(tmp_path: Path, text: str, expected: str) -> None:
    assert problems(tmp_path, text) == [expected]
