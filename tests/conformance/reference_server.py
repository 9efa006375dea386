"""OpenBao (or Vault) as a server that seals itself with a Transit key elsewhere: where it comes from, and its life.

`tests.support.reference` says which program it is.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.api import Api
from tests.support.node import PATIENCE, free_port, wait_until
from tests.support.reference import clean_environment, find_bao

_CONFIGURATION: Final = """\
storage "raft" {{
  path = "{data}"
  node_id = "n1"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster_port}"

seal "transit" {{
{seal}
}}
"""


@dataclass
class ReferenceServer:
    """One server; `seal` are the settings of its Transit seal, `environment` what it is started with besides."""

    directory: Path
    seal: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    port: int = field(default_factory=free_port)
    cluster_port: int = field(default_factory=free_port)
    root_token: str | None = None
    _process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> Api:
        """Its HTTP API, with its root token once it has one."""
        return Api(f"http://127.0.0.1:{self.port}", self.root_token)

    @property
    def log(self) -> str:
        """What it wrote since it was last started."""
        return (self.directory / "bao.log").read_text(encoding="utf-8")

    @property
    def status(self) -> Any:
        """Its seal status, or None while it does not answer."""
        with contextlib.suppress(OSError):
            return self.api.get("sys/seal-status").json
        return None

    @property
    def serves(self) -> bool:
        """Tell whether it is unsealed and active."""
        with contextlib.suppress(OSError):
            return self.api.get("sys/health").status == 200
        return False

    def launch(self) -> None:
        """Start it, and do not wait."""
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        seal = "\n".join(f"  {name} = {json.dumps(value)}" for name, value in self.seal.items())
        text = _CONFIGURATION.format(data=data, port=self.port, cluster_port=self.cluster_port, seal=seal)
        configuration = self.directory / "bao.hcl"
        configuration.write_text(text, encoding="utf-8")
        with (self.directory / "bao.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(find_bao()), "server", "-config", str(configuration)],
                env={**clean_environment(self.directory), **self.environment},
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.launch()
        wait_until(lambda: self._ended() or self.status is not None, "the reference server answers")
        assert not self._ended(), self.log

    def start_in_vain(self) -> str:
        """Start it, which must fail; return what it wrote."""
        self.launch()
        assert self._process is not None
        assert self._process.wait(PATIENCE) != 0
        return self.log

    def initialise(self) -> Any:
        """Initialise it, with recovery keys as there are no shares; return the answer."""
        made = self.api.put("sys/init", {"recovery_shares": 3, "recovery_threshold": 2}).json
        self.root_token = made["root_token"]
        wait_until(lambda: self.serves, "the reference server serves")
        return made

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None and not self._ended():
            self._process.kill()
            self._process.wait(PATIENCE)

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None
