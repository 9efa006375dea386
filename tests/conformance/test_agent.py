"""The agent that logs in for a program that knows nothing of vaults: by AppRole, into a file and a template."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.node import PATIENCE, wait_until
from tests.support.reference import clean_environment, find_bao
from tests.support.tenant import Tenant

_CONFIGURATION: Final = """\
vault {{
  address = "{address}"
}}
auto_auth {{
  method "approle" {{
    namespace = "{vault_id}"
    config = {{
      role_id_file_path   = "{directory}/role-id"
      secret_id_file_path = "{directory}/secret-id"
    }}
  }}
  sink "file" {{
    config = {{
      path = "{directory}/token"
    }}
  }}
}}
template {{
  contents    = "{{{{ with secret \\"secret/data/app/db\\" }}}}password={{{{ .Data.data.password }}}}{{{{ end }}}}"
  destination = "{directory}/rendered"
}}
"""


@contextlib.contextmanager
def agent(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with (directory / "agent.log").open("wb") as log:
        process = subprocess.Popen(
            [str(find_bao()), "agent", f"-config={directory / 'agent.hcl'}", *arguments],
            env=clean_environment(directory),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)


def test_an_agent_logs_in_and_keeps_its_token_alive(tenant: Tenant, tmp_path: Path) -> None:
    root = tenant.root
    root.put("secret/data/app/db", {"data": {"password": "p"}})
    root.put("sys/policies/acl/app", {"policy": 'path "secret/data/app/*" { capabilities = ["read"] }'})
    assert root.post("sys/auth/approle", {"type": "approle"}).status == 204
    role = {"token_policies": "app", "token_ttl": "6s", "token_max_ttl": "1h", "secret_id_num_uses": 1}
    assert root.post("auth/approle/role/app", role).status == 204
    for name in ("role-id", "secret-id"):
        path = f"auth/approle/role/app/{name}"
        data = root.get(path).data if name == "role-id" else root.post(path).data
        (tmp_path / name).write_text(data[name.replace("-", "_")])
    text = _CONFIGURATION.format(address=root.address, vault_id=tenant.vault_id, directory=tmp_path)
    (tmp_path / "agent.hcl").write_text(text)
    with agent(tmp_path) as process:
        wait_until(lambda: (tmp_path / "rendered").exists() or process.poll() is not None, "the agent has logged in")
        assert process.poll() is None, (tmp_path / "agent.log").read_text()
        assert (tmp_path / "rendered").read_text() == "password=p"
        assert not (tmp_path / "secret-id").exists()  # it may be used once, and is not left about
        bearer = root.with_token((tmp_path / "token").read_text())
        first = bearer.get("auth/token/lookup-self").data
        assert (first["policies"], first["creation_ttl"]) == (["app", "default"], 6)
        wait_until(
            lambda: bearer.get("auth/token/lookup-self").data["expire_time"] > first["expire_time"],
            "the agent has renewed the token",
        )
