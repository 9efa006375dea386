from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from kms_actors import config
from kms_actors.actors.node.records import NodeRecords
from kms_actors.actors.node.service import NodeService
from kms_actors.auth.keys import TokenKeys
from kms_actors.cli.client import main
from kms_actors.keyring.seal import make_key
from kms_actors.keyring.shamir import encode_share
from kms_actors.messages import Initialize
from kms_actors.store import schema
from kms_actors.store.keyspace import TenantKeys
from tests.store.access import put
from tests.support.vaults import Vault, configuration, filled, node, opened
from tests.support.web import site

_ROOT, _SERVICE = TokenKeys.generate().public
CONFIGURATION = """\
[cluster]
backend = "sqlite"
path = "{directory}/kms.sqlite"

[master_keyring_provider]
{provider}
namespace = "kms-c1"
node_name = "n1"

[authenticator]
name = "biscuit"
[authenticator.provider]
keys = [["{root}", "{service}"]]
service = "toto"
"""


def written(directory: Path, provider: str = "") -> Path:
    path = directory / "node.toml"
    path.write_text(CONFIGURATION.format(directory=directory, provider=provider, root=_ROOT, service=_SERVICE))
    return path


def run(*arguments: object, text: str | None = None, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=text, env=environment)


async def _fill(directory: Path, *vault_ids: str) -> list[Vault]:
    async with opened(directory) as store, node(store, directory) as service:
        return [await filled(service, vault_id) for vault_id in vault_ids]


async def _check(directory: Path, *vaults: Vault) -> None:
    async with opened(directory) as store, node(store, directory) as service:
        for each in vaults:
            await each.check(service)


async def _plant(directory: Path) -> None:
    async with opened(directory) as store:
        await put(store, (TenantKeys(1).key("kv", 1, "data", "CANARY-PATH", 1), b"\x01" + b"CANARY-VALUE" * 4))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    directory.mkdir()
    return directory


@pytest.fixture
def target(tmp_path: Path) -> Path:
    directory = tmp_path / "target"
    directory.mkdir()
    return directory


def static(directory: Path) -> Path:
    configuration(directory)  # makes the key file
    return written(directory, f'name = "static"\nkey_file = "{directory}/master.key"')


def test_a_clean_store_ends_with_0_and_says_what_was_not_opened(source: Path) -> None:
    asyncio.run(_fill(source, "vault_a", "vault_b"))
    result = run("store", "check", "--configuration", written(source))
    assert result.exit_code == 0
    assert "of 2 vaults: 0 findings\n2 vaults were not opened" in result.stdout
    result = run("store", "check", "--configuration", static(source))
    assert (result.exit_code, "not opened" in result.stdout) == (0, False)
    result = run("store", "check", "--configuration", written(source), "--key-file", source / "master.key", "--json")
    assert json.loads(result.stdout) | {"records": 0} == {
        "records": 0,
        "vaults": 2,
        "opened": 2,
        "sealed_by_older_versions": 0,
        "findings": [],
    }


@pytest.mark.parametrize("content", ["", "11" * 16, "x" * 64])
def test_a_file_without_a_key_is_named(source: Path, content: str) -> None:
    asyncio.run(_init(source))
    key = source / "some.key"
    key.write_text(content)
    result = run("store", "check", "--configuration", written(source), "--key-file", key)
    assert result.exit_code == 2
    assert f"Error: {key}: " in result.output


def test_findings_end_with_1_and_show_keys_but_no_values(source: Path) -> None:
    asyncio.run(_fill(source, "vault_a"))
    asyncio.run(_plant(source))
    result = run("store", "check", "--configuration", written(source))
    assert result.exit_code == 1
    assert "orphan  ('t', 1, 'kv', 1, 'data', 'CANARY-PATH', 1)  data of a secret without metadata" in result.stdout
    assert "CANARY-VALUE" not in result.output
    result = run("store", "check", "--configuration", written(source), "--json")
    (finding,) = json.loads(result.stdout)["findings"]
    assert result.exit_code == 1
    assert bytes.fromhex(finding["key"]) == TenantKeys(1).key("kv", 1, "data", "CANARY-PATH", 1)
    assert finding["kind"] == "orphan"


async def _init(directory: Path) -> list[str]:
    """Initialise a cluster with shares, and leave it so."""
    key, shares, seal = make_key(3, 2, 0.0)
    async with opened(directory) as store:
        await schema.initialise(store)
        await NodeRecords(store, "kms-c1").create(seal, key, 0.0)
    return [encode_share(share) for share in shares]


def test_shares_of_the_master_key_are_taken_as_options_from_the_environment_or_asked_for(source: Path) -> None:
    shares = asyncio.run(_init(source))
    check = ("store", "check", "--configuration", written(source))
    assert run(*check, "--unseal-key", shares[0], "--unseal-key", shares[2]).exit_code == 0
    assert run(*check, environment={"KMS_UNSEAL_KEYS": " ".join(shares[:2])}).exit_code == 0
    asked = run(*check, "--prompt", text=f"{shares[0]}\n{shares[1]}\n\n")
    assert asked.exit_code == 0
    assert shares[0] not in asked.output
    lines = "".join(f"Unseal Key {number}: {share}\n" for number, share in enumerate(shares, 1))
    assert run(*check, "--prompt", text=lines).exit_code == 0  # as `master-key create` prints them
    for wrong in (shares[:1], [*shares[:1], "CANARY"]):
        result = run(*check, environment={"KMS_UNSEAL_KEYS": " ".join(wrong)})
        assert result.exit_code == 2
        assert not any(share in result.output for share in wrong)


class Keeper:
    """A server that keeps keys in the clear: what it is given back is what it gave."""

    def __init__(self) -> None:
        self.refuses = False

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = json.loads(await request.read())
        if self.refuses:
            return web.json_response({"errors": ["permission denied"]}, status=403)
        if "/encrypt/" in request.path:
            return web.json_response({"data": {"ciphertext": "vault:v1:" + body["plaintext"]}})
        return web.json_response({"data": {"plaintext": body["ciphertext"].removeprefix("vault:v1:")}})


async def _init_kept(directory: Path, path: Path) -> None:
    settings = config.load(path)
    async with opened(directory) as store:
        await schema.initialise(store)
        service = NodeService(settings, store)
        await service.start()
        await service.ask_node(Initialize())
        await filled(service, "vault_a")
        await service.stop()


def test_who_keeps_the_master_key_is_asked_for_it(source: Path) -> None:
    keeper = Keeper()
    with site(keeper) as address:
        seal = f'transit = {{addresses = ["{address}"], key_name = "k", token = "t", disable_renewal = true}}'
        path = written(source, f'name = "transit"\n{seal}')
        asyncio.run(_init_kept(source, path))
        result = run("store", "check", "--configuration", path)
        assert (result.exit_code, "not opened" in result.stdout) == (0, False)
        resealed = run("store", "reseal", "--configuration", path)
        assert (resealed.exit_code, "0 records sealed anew" in resealed.stdout) == (0, True)
        keeper.refuses = True
        refused = run("store", "check", "--configuration", path)
        assert (refused.exit_code, "status 403): permission denied" in refused.output) == (2, True)
        elsewhere = run("store", "check", "--configuration", written(source))
        assert "1 vaults were not opened" in elsewhere.stdout


def test_what_cannot_be_checked_ends_with_2_and_makes_nothing(source: Path) -> None:
    assert run("store", "check").exit_code == 2
    assert run("store", "check", "--configuration", source / "nosuch").exit_code == 2
    assert run("store", "check", "--configuration", written(source)).exit_code == 2
    assert not (source / "kms.sqlite").exists()
    (source / "kms.sqlite").write_bytes(b"something else, longer than a header" * 100)
    assert run("store", "check", "--configuration", written(source)).exit_code == 2


def test_vaults_move_with_backup_and_restore(source: Path, target: Path) -> None:
    vaults = asyncio.run(_fill(source, "vault_a", "vault_b"))
    file = source / "all.backup"
    made = run("backup", "--configuration", static(source), "--output", file)
    assert made.exit_code == 0
    digest = made.stdout.split("SHA-256: ")[1].strip()
    assert "Vaults: 2\n" in made.stdout
    shutil.copy(source / "master.key", target / "master.key")
    tried = run("restore", "--configuration", static(target), "--input", file, "--dry-run")
    assert tried.exit_code == 1  # there is no store yet
    restored = run("restore", "--configuration", static(target), "--input", file)
    assert (restored.exit_code, digest in restored.stdout) == (0, True)
    assert "vault_a\nvault_b\n" in restored.stdout
    asyncio.run(_check(target, *vaults))
    assert run("store", "check", "--configuration", static(target)).exit_code == 0
    again = run("restore", "--configuration", static(target), "--input", file)
    assert (again.exit_code, "only --replace" in again.output) == (1, True)


def test_a_backup_says_that_the_store_holds_another_cluster(source: Path) -> None:
    asyncio.run(_cluster(source, "kms-other"))
    backup = ("backup", "--configuration", written(source), "--output")
    made = run(*backup, source / "a.backup")
    assert made.exit_code == 0
    told = "the store holds the cluster `kms-other`, and none named `kms-c1`, as the configuration has it: "
    assert f"{told}this is a backup of what is there\n" in made.stderr
    assert json.loads(run(*backup, source / "b.backup", "--json").stdout)["clusters"] == ["kms-other"]
    asyncio.run(_cluster(source, "kms-c1"))
    assert "kms-other" not in run(*backup, source / "c.backup").output


async def _cluster(directory: Path, namespace: str) -> None:
    key, _, seal = make_key(1, 1, 0.0)
    async with opened(directory) as store:
        await schema.initialise(store)
        await NodeRecords(store, namespace, second_cluster=True).create(seal, key, 0.0)


def test_one_vault_is_replaced_when_asked_for(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kms_actors.cli.store.work.REQUEST_SECONDS", -2.0)  # with the lease, no wait at all
    (vault_a,) = asyncio.run(_fill(source, "vault_a"))
    file = source / "a.backup"
    assert run("backup", "--configuration", static(source), "--output", file, "--vault", "vault_a").exit_code == 0
    refused = run("restore", "--configuration", static(source), "--input", file, "--dry-run")
    assert refused.exit_code == 1
    options = ("--configuration", static(source), "--input", file, "--replace", "--vault", "vault_a")
    tried = run("restore", *options, "--dry-run")
    assert (tried.exit_code, "can be restored" in tried.stdout) == (0, True)
    assert run("restore", *options).exit_code == 0
    asyncio.run(_check(source, vault_a))


def test_an_interrupted_backup_goes_on_only_with_resume(source: Path) -> None:
    asyncio.run(_fill(source, "vault_a"))
    whole, file = source / "whole.backup", source / "cut.backup"
    backup = ("backup", "--configuration", static(source), "--vault", "vault_a", "--output")
    assert run(*backup, whole).exit_code == 0
    file.write_bytes(whole.read_bytes()[:-100])
    refused = run(*backup, file)
    assert (refused.exit_code, "file exists" in refused.output) == (1, True)
    cut = run("restore", "--configuration", static(source), "--input", file)
    assert (cut.exit_code, "cut short" in cut.output) == (1, True)
    assert run(*backup, file, "--resume").exit_code == 0
    assert file.read_bytes() == whole.read_bytes()
    complete = run(*backup, file, "--resume")
    assert (complete.exit_code, "complete" in complete.output) == (1, True)


@pytest.mark.parametrize("options", [["--vault", "vault_x"], ["--resume"]])
def test_a_backup_that_cannot_be_made_ends_with_1_and_is_one_line(source: Path, options: list[str]) -> None:
    asyncio.run(_fill(source, "vault_a"))
    result = run("backup", "--configuration", static(source), "--output", source / "b", *options)
    assert (result.exit_code, result.stdout, result.stderr.count("Error: ")) == (1, "", 1)
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert not (source / "b").exists()


@pytest.mark.parametrize(
    "words",
    [("restore", "--input"), ("restore", "--dry-run", "--input"), ("backup", "--resume", "--output")],
    ids=lambda words: " ".join(words[:-1]),
)
def test_a_file_that_is_no_backup_is_named(source: Path, words: tuple[str, ...]) -> None:
    asyncio.run(_fill(source, "vault_a"))
    bad = source / "bad.backup"
    bad.write_bytes(b"rubbish" * 100)
    result = run(*words, bad, "--configuration", written(source))
    assert (result.exit_code, result.stderr.splitlines()[-1].startswith(f"Error: {bad}: ")) == (1, True), (
        result.stderr
    )
    assert bad.read_bytes() == b"rubbish" * 100


def test_a_backup_that_is_complete_is_named(source: Path) -> None:
    asyncio.run(_fill(source, "vault_a"))
    words = ["backup", "--configuration", written(source), "--output", source / "whole"]
    assert run(*words).exit_code == 0
    again = run(*words, "--resume")
    assert (again.exit_code, f"{source / 'whole'}: the backup is complete" in again.stderr) == (1, True), again.stderr


@pytest.mark.parametrize("command", [["store"], ["store", "check"], ["backup"], ["restore"]])
def test_help_and_unknown_options(command: list[str]) -> None:
    assert run(*command, "--help").exit_code == 0
    assert run(*command, "--nonsense").exit_code == 2
