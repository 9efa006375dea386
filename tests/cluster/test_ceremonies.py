"""Rotations, rekeys and root tokens over three nodes: any node goes on, and of what races, one wins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.support.api import Answer, Api
from tests.support.node_cluster import SIZE, NodeCluster
from tests.support.tenant import Tenant


def callers(cluster: NodeCluster, api: Api) -> list[Api]:
    return cluster.callers(api.token or "")


def at_once(operators: list[Api], path: str, bodies: list[dict[str, object]]) -> list[Answer]:
    with ThreadPoolExecutor(len(bodies)) as threads:
        return list(threads.map(lambda call: call[0].put(path, call[1]), zip(operators, bodies, strict=True)))


def test_rotations_on_all_nodes_add_as_many_versions_and_nothing_is_lost(
    cluster: NodeCluster, tenant: Tenant
) -> None:
    operators, users = callers(cluster, tenant.operator), callers(cluster, tenant.user)
    for number in range(3):
        assert all(answer.status == 204 for answer in at_once(operators, "sys/rotate", [{}] * SIZE))
        for user in users:
            assert user.post(f"secret/data/n{number}", {"data": {"n": number}}).status == 200
            for other in users:
                assert other.get(f"secret/data/n{number}").data["data"] == {"n": number}
    assert [operator.get("sys/key-status").data["term"] for operator in operators] == [1 + 3 * SIZE] * SIZE


def test_the_master_keyring_is_rotated_for_all_nodes(cluster: NodeCluster) -> None:
    operators = cluster.callers(cluster.issuer.cluster_operator())
    before = operators[0].get("sys/key-status").data["term"]
    for number, operator in enumerate(operators, 1):
        assert operator.put("sys/rotate", {}).status == 204
        tenant = cluster.make_tenant()
        for user in callers(cluster, tenant.user):
            assert user.post("secret/data/a", {"data": {"n": number}}).status == 200
        assert {each.get("sys/key-status").data["term"] for each in operators} == {before + number}


def test_shares_given_to_all_nodes_at_once_make_one_quorum(cluster: NodeCluster, tenant: Tenant) -> None:
    operators = callers(cluster, tenant.operator)
    begun = operators[0].put("sys/rekey/init", {"secret_shares": 4, "secret_threshold": 2}).json
    same = at_once(
        operators, "sys/rekey/update", [{"key": tenant.shares[0], "nonce": begun["nonce"]} for _ in operators]
    )
    assert sorted(answer.status for answer in same) == [200, 400, 400]
    assert {operator.get("sys/rekey/init").json["progress"] for operator in operators} == {1}
    given = [{"key": share, "nonce": begun["nonce"]} for share in tenant.shares[1:4]]
    answers = at_once(operators, "sys/rekey/update", given)
    (made,) = [answer.json for answer in answers if answer.status == 200 and answer.json.get("complete")]
    assert operators[1].put("sys/seal", {}).status == 204
    for operator, share in zip(operators, made["keys"][1:3], strict=False):
        status = operator.put("sys/unseal", {"key": share}).json
    assert (status["sealed"], status["t"], status["n"]) == (False, 2, 4)


def test_a_root_token_begun_on_one_node_is_got_on_another(cluster: NodeCluster, tenant: Tenant) -> None:
    operators = callers(cluster, tenant.operator)
    begun = operators[0].put("sys/generate-root/attempt", {}).json
    for operator, share in zip(operators, tenant.shares, strict=False):
        given = operator.put("sys/generate-root/update", {"key": share, "nonce": begun["nonce"]}).json
    sent = {"encoded_token": given["encoded_token"], "otp": begun["otp"]}
    token = operators[0].post("sys/decode-token", sent).data["token"]
    for operator in operators:
        assert operator.with_token(token).get("auth/token/lookup-self").data["policies"] == ["root"]
