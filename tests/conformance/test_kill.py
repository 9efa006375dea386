"""kill -9 at every step of the walk, and between request and answer: what was acknowledged is there after a restart.

The node is sealed then, its shares unseal it, and a tenant that was unsealed before is so again without its own.
"""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.api import Api, b64, initialise, sealed, unseal
from tests.support.node import NewNode, Node, wait_until
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer, new_vault_id

#: What a client sees of a node that dies before it answers.
UNANSWERED = (ConnectionError, http.client.HTTPException, TimeoutError)


@dataclass
class Walk:
    """The walk so far: callers, what was acknowledged, and how to see that it still holds."""

    node: Node
    issuer: Issuer
    vault_id: str = field(default_factory=new_vault_id)
    node_shares: list[str] = field(default_factory=list)
    shares: list[str] = field(default_factory=list)
    root_token: str = ""
    ciphertexts: list[str] = field(default_factory=list)
    revoked: str = ""
    #: Seal state of the tenant, once the node is unsealed: initialized, sealed, progress.
    tenant_seal: tuple[bool, bool, int] = (False, True, 0)
    holds: list[Callable[[], None]] = field(default_factory=list)  # while the tenant is unsealed

    @property
    def operator(self) -> Api:
        return Api(self.node.address, self.issuer.cluster_operator())

    @property
    def tenant_operator(self) -> Api:
        return Api(self.node.address, self.issuer.tenant_operator(self.vault_id))

    @property
    def user(self) -> Api:
        return Api(self.node.address, self.issuer.tenant(self.vault_id))

    def crash(self) -> None:
        """Kill the node, start it again, and see that everything acknowledged still holds."""
        self.node.kill()
        self.node.start()
        status = self.operator.get("sys/seal-status").json
        assert (status["initialized"], status["sealed"], status["progress"]) == (bool(self.node_shares), True, 0)
        assert self.user.get("secret/data/creds").status == 503
        if not self.node_shares:
            return
        unseal(self.operator, random.sample(self.node_shares, 3))
        status = self.tenant_operator.get("sys/seal-status").json
        assert (status["initialized"], status["sealed"], status["progress"]) == self.tenant_seal
        if self.tenant_seal[1]:
            assert self.user.get("secret/data/creds").status == 503
            return
        for holds in self.holds:
            holds()

    # The steps.

    def initialise_node(self) -> None:
        self.node_shares = initialise(self.operator)["keys_base64"]

    def give_one_share_to_the_node(self) -> None:
        self.operator.put("sys/seal")
        assert self.operator.put("sys/unseal", {"key": self.node_shares[0]}).json["progress"] == 1

    def initialise_tenant(self) -> None:
        made = initialise(self.tenant_operator)
        self.shares, self.root_token = made["keys_base64"], made["root_token"]
        self.tenant_seal = (True, True, 0)

    def give_first_share(self) -> None:
        self._give_share(1)

    def give_second_share(self) -> None:
        self._give_share(2)

    def _give_share(self, number: int) -> None:
        status = self.tenant_operator.put("sys/unseal", {"key": self.shares[number]}).json
        assert status["progress"] == number
        self.tenant_seal = (True, True, number)

    def give_last_share(self) -> None:
        assert self.tenant_operator.put("sys/unseal", {"key": self.shares[0]}).json["sealed"] is False
        self.tenant_seal = (True, False, 0)
        self.holds.append(self._root_token_works)

    def _root_token_works(self) -> None:
        root = Api(self.node.address, self.root_token)
        assert root.get("auth/token/lookup-self").data["policies"] == ["root"]

    def put_secret(self) -> None:
        assert self.user.post("secret/data/creds", {"data": {"passcode": "1"}}).data["version"] == 1
        assert self.user.post("secret/data/creds", {"data": {"passcode": "2"}}).data["version"] == 2
        self.holds.append(self._secret_is_read_back)

    def _secret_is_read_back(self) -> None:
        assert self.user.get("secret/data/creds").data["data"] == {"passcode": "2"}
        assert self.user.get("secret/data/creds?version=1").data["data"] == {"passcode": "1"}
        assert "creds" in self.user.list("secret/metadata").data["keys"]

    def create_key(self) -> None:
        assert self.user.post("transit/keys/orders").status == 200
        self._encrypt()
        self.holds.append(self._ciphertexts_decrypt)

    def rotate_key(self) -> None:
        self._rotate(2)
        self._encrypt()

    def rewrap(self) -> None:
        rewrapped = self.user.put("transit/rewrap/orders", {"ciphertext": self.ciphertexts[0]}).data
        assert rewrapped["key_version"] == 2
        self.ciphertexts.append(rewrapped["ciphertext"])

    def configure_key(self) -> None:
        assert self.user.post("transit/keys/orders/config", {"min_decryption_version": 2}).status == 200
        self.ciphertexts = [text for text in self.ciphertexts if not text.startswith("vault:v1:")]
        self.holds.append(self._key_is_configured)

    def _rotate(self, version: int) -> None:
        assert self.user.post("transit/keys/orders/rotate").data["latest_version"] == version

    def _encrypt(self) -> None:
        encrypted = self.user.put("transit/encrypt/orders", {"plaintext": b64("hello")})
        self.ciphertexts.append(encrypted.data["ciphertext"])

    def _ciphertexts_decrypt(self) -> None:
        for ciphertext in self.ciphertexts:
            decrypted = self.user.put("transit/decrypt/orders", {"ciphertext": ciphertext})
            assert decrypted.data["plaintext"] == b64("hello")

    def _key_is_configured(self) -> None:
        assert self.user.get("transit/keys/orders").data["min_decryption_version"] == 2

    def delete_and_destroy(self) -> None:
        for _ in range(3):
            self.user.post("secret/data/gone", {"data": {"a": "b"}})
        assert self.user.delete("secret/data/gone").status == 204
        assert self.user.post("secret/destroy/gone", {"versions": [1]}).status == 204
        self.holds.append(self._gone_is_gone)

    def _gone_is_gone(self) -> None:
        assert self.user.get("secret/data/gone").status == 404
        versions = self.user.get("secret/metadata/gone").data["versions"]
        assert [versions[number]["destroyed"] for number in ("1", "2", "3")] == [True, False, False]
        assert versions["3"]["deletion_time"]

    def enable_mount(self) -> None:
        operator = self.tenant_operator
        assert operator.post("sys/mounts/team", {"type": "kv", "options": {"version": "2"}}).status == 204
        assert operator.post("team/data/a", {"data": {"b": "c"}}).status == 200
        self.holds.append(self._team_is_there)

    def _team_is_there(self) -> None:
        assert self.user.get("team/data/a").data["data"] == {"b": "c"}

    def write_unversioned(self) -> None:
        assert self.tenant_operator.post("sys/mounts/plain", {"type": "kv"}).status == 204
        for number in (1, 2):
            assert self.user.post("plain/a", {"n": number}).status == 204
        self.holds.append(self._plain_is_there)

    def enable_versioning(self) -> None:
        assert self.tenant_operator.post("sys/mounts/plain/tune", {"options": {"version": "2"}}).status == 204
        self.holds[-1] = self._plain_has_a_version

    def _plain_is_there(self) -> None:
        assert self.user.get("plain/a").data == {"n": 2}

    def _plain_has_a_version(self) -> None:
        found = self.user.get("plain/data/a").data
        assert (found["data"], found["metadata"]["version"]) == ({"n": 2}, 1)

    def revoke_token(self) -> None:
        self.revoked = self.issuer.tenant(self.vault_id)
        revoked = Api(self.node.address, self.revoked)
        assert revoked.post("auth/token/revoke-self").status == 204
        self.holds.append(self._revoked_token_stays_revoked)

    def _revoked_token_stays_revoked(self) -> None:
        assert Api(self.node.address, self.revoked).get("secret/data/creds").status == 403

    def seal_tenant(self) -> None:
        assert self.tenant_operator.put("sys/seal").status == 204
        self.tenant_seal = (True, True, 0)

    def unseal_tenant(self) -> None:
        unseal(self.tenant_operator, self.shares[2:])
        self.tenant_seal = (True, False, 0)

    def seal_node(self) -> None:
        assert self.operator.put("sys/seal").status == 204


STEPS = (
    Walk.initialise_node,
    Walk.give_one_share_to_the_node,
    Walk.initialise_tenant,
    Walk.give_first_share,
    Walk.give_second_share,
    Walk.give_last_share,
    Walk.put_secret,
    Walk.create_key,
    Walk.rotate_key,
    Walk.rewrap,
    Walk.configure_key,
    Walk.delete_and_destroy,
    Walk.enable_mount,
    Walk.write_unversioned,
    Walk.enable_versioning,
    Walk.revoke_token,
    Walk.seal_tenant,
    Walk.unseal_tenant,
    Walk.seal_node,
)


def test_killed_after_each_step_nothing_acknowledged_is_lost(new_node: NewNode, issuer: Issuer) -> None:
    walk = Walk(new_node(), issuer)
    walk.crash()
    for step in STEPS:
        step(walk)
        walk.crash()


@pytest.fixture
def unsealed(new_node: NewNode, issuer: Issuer) -> tuple[Node, Tenant, list[str]]:
    """A node of its own with one tenant, both unsealed, and the node's shares."""
    node = new_node()
    operator = Api(node.address, issuer.cluster_operator())
    shares = initialise(operator, 1, 1)["keys_base64"]
    unseal(operator, shares)
    return node, make_tenant(node, issuer), shares


def restart(node: Node, issuer: Issuer, shares: list[str]) -> None:
    node.kill()
    node.start()
    unseal(Api(node.address, issuer.cluster_operator()), shares)


Written = dict[str, tuple[int, int]]  # by name: number acknowledged last, number sent last


def written_of(written: Written, names: list[str]) -> int:
    """Return how many writes of each name were acknowledged at least."""
    return min(written.get(name, (0, 0))[0] for name in names)


def write_until_killed(write: Callable[[Api, str, int], int], api: Api, name: str, written: Written) -> None:
    """Write 1, 2, 3… until the node is gone."""
    for number in range(1, 100_000):
        written[name] = (number - 1, number)
        try:
            status = write(api, name, number)
        except UNANSWERED:
            return
        assert status == 200
    raise AssertionError("the node was not killed")


def put_number(api: Api, name: str, number: int) -> int:
    return api.post(f"secret/data/{name}", {"data": {"n": number}, "options": {"cas": number - 1}}).status


def rotate_to(api: Api, name: str, number: int) -> int:
    return api.post(f"transit/keys/{name}/rotate").status


def test_killed_amid_concurrent_writes_nothing_acknowledged_is_lost(
    unsealed: tuple[Node, Tenant, list[str]], issuer: Issuer
) -> None:
    node, tenant, shares = unsealed
    for round_ in range(3):
        secrets: Written = {}
        keys: Written = {}
        names = [f"round-{round_}-{number}" for number in range(4)]
        for name in names[:2]:
            assert tenant.user.post(f"transit/keys/{name}").status == 200
        with ThreadPoolExecutor(6) as pool:
            writers = [pool.submit(write_until_killed, put_number, tenant.user, name, secrets) for name in names]
            writers += [pool.submit(write_until_killed, rotate_to, tenant.user, name, keys) for name in names[:2]]
            wait_until(lambda: min(written_of(secrets, names), written_of(keys, names[:2])) > 2, "writes")  # noqa: B023
            node.kill()
            for writer in writers:
                writer.result()
        restart(node, issuer, shares)
        for name, (acknowledged, sent) in secrets.items():
            if acknowledged or tenant.user.get(f"secret/data/{name}").status == 200:
                found = tenant.user.get(f"secret/data/{name}").data
                assert acknowledged <= found["metadata"]["version"] <= sent
                assert found["data"] == {"n": found["metadata"]["version"]}
        for name, (acknowledged, sent) in keys.items():
            assert acknowledged <= tenant.user.get(f"transit/keys/{name}").data["latest_version"] - 1 <= sent


def between_request_and_answer() -> Iterator[float]:
    """Yield seconds after which to kill: from before the request is read to after its answer."""
    yield from (0.0, 0.001, 0.002, 0.004, 0.008)


def kill_amid(node: Node, delay: float, request: Callable[..., Any], *arguments: Any) -> Any:
    """Send a request and kill the node after `delay` seconds; return the answer, or None if it died before."""
    killer = threading.Timer(delay, node.kill)
    killer.start()
    try:
        return request(*arguments)
    except UNANSWERED:
        return None
    finally:
        killer.join()


def test_killed_amid_the_nodes_init_it_is_initialised_or_not(new_node: NewNode, issuer: Issuer) -> None:
    for delay in between_request_and_answer():
        node = new_node()
        operator = Api(node.address, issuer.cluster_operator())
        made = kill_amid(node, delay, initialise, operator)
        node.start()
        if made is None and not operator.get("sys/init").json["initialized"]:
            made = initialise(operator)
        if made is not None:
            unseal(operator, made["keys"])
        assert sealed(operator) == (made is None)
        node.kill()


def test_killed_amid_enabling_versions_a_mount_is_of_one_version_with_all_its_secrets(
    unsealed: tuple[Node, Tenant, list[str]], issuer: Issuer
) -> None:
    node, tenant, shares = unsealed
    for number, delay in enumerate(between_request_and_answer()):
        mount = f"plain-{number}"
        assert tenant.operator.post(f"sys/mounts/{mount}", {"type": "kv-v1"}).status == 204
        for name in range(20):
            assert tenant.user.post(f"{mount}/{name}", {"n": name}).status == 204
        enable = {"options": {"version": "2"}}
        answer = kill_amid(node, delay, tenant.operator.post, f"sys/mounts/{mount}/tune", enable)
        node.start()
        unseal(Api(node.address, issuer.cluster_operator()), shares)
        if tenant.user.get(f"sys/internal/ui/mounts/{mount}").data["options"]["version"] == "1":
            assert answer is None
            assert [tenant.user.get(f"{mount}/{name}").data["n"] for name in range(20)] == [*range(20)]
            assert tenant.operator.post(f"sys/mounts/{mount}/tune", enable).status == 204
        found = [tenant.user.get(f"{mount}/data/{name}").data for name in range(20)]
        assert [(each["data"]["n"], each["metadata"]["version"]) for each in found] == [(n, 1) for n in range(20)]


def test_killed_amid_a_tenants_init_it_is_initialised_or_not(
    unsealed: tuple[Node, Tenant, list[str]], issuer: Issuer
) -> None:
    node, tenant, shares = unsealed
    assert tenant.user.post("secret/data/kept", {"data": {"a": "b"}}).status == 200
    for delay in between_request_and_answer():
        operator = Api(node.address, issuer.tenant_operator(new_vault_id()))
        made = kill_amid(node, delay, initialise, operator, 3, 2)
        restart(node, issuer, shares)
        if made is None and not operator.get("sys/init").json["initialized"]:
            made = initialise(operator, 3, 2)
        if made is not None:
            unseal(operator, made["keys"])
        assert sealed(operator) == (made is None)
        assert tenant.user.get("secret/data/kept").data["data"] == {"a": "b"}


def test_killed_amid_an_unseal_it_is_unsealed_or_not(
    unsealed: tuple[Node, Tenant, list[str]], issuer: Issuer
) -> None:
    node, tenant, shares = unsealed
    for delay in between_request_and_answer():
        assert tenant.operator.put("sys/seal").status == 204
        for share in tenant.shares[:2]:
            tenant.operator.put("sys/unseal", {"key": share})
        last = {"key": tenant.shares[2]}
        answer = kill_amid(node, delay, tenant.operator.put, "sys/unseal", last)
        restart(node, issuer, shares)
        status = tenant.operator.get("sys/seal-status").json
        if answer is not None:
            assert answer.json["sealed"] is False
            assert status["sealed"] is False
        if status["sealed"]:
            assert status["progress"] == 2
            assert tenant.operator.put("sys/unseal", last).json["sealed"] is False
        assert tenant.user.get("sys/mounts").status == 200


def test_killed_amid_a_seal_an_answered_one_holds(unsealed: tuple[Node, Tenant, list[str]], issuer: Issuer) -> None:
    node, tenant, shares = unsealed
    for delay in between_request_and_answer():
        answer = kill_amid(node, delay, tenant.operator.put, "sys/seal")
        restart(node, issuer, shares)
        if answer is not None:
            assert answer.status == 204
            assert sealed(tenant.operator)
        if sealed(tenant.operator):
            unseal(tenant.operator, tenant.shares)
        assert tenant.user.get("sys/mounts").status == 200
