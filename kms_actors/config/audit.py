"""Where audit devices may write to: what the API names, it chooses among these."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kms_actors.config.section import Section, Size


class Audit(Section, frozen=True):
    """Audit devices: where on this node, and to which addresses, those that are enabled by the API may write."""

    folder: Annotated[
        str,
        Meta(
            pattern=r"^(/[^\0]*)?$",
            extra={"allowed": "an absolute path, or empty"},
            description="folder of devices' files: below it `node/` for the cluster's, `vaults/<vault id>/` for "
            "those of a vault; empty: no device writes to a file",
        ),
    ] = ""
    vault_devices: Annotated[
        tuple[Literal["file", "socket", "syslog"], ...],
        Meta(
            extra={"allowed": "a list of `file`, `socket` and `syslog`"},
            description="types of devices that vaults may have; the cluster's operator may have any",
        ),
    ] = ("file",)
    vault_file_bytes: Annotated[
        Size, Meta(description="size of each file of a vault, past which its device fails until the file is rotated")
    ] = "1 GiB"
    sockets: Annotated[
        tuple[str, ...],
        Meta(
            extra={"allowed": "a list of addresses such as `tcp://10.0.0.5:9090`, `unix:///run/collector.sock`"},
            description="where devices of type `socket` may write to: `tcp://host:port`, `udp://host:port`, "
            "`unix:///path`, each as it is named there",
        ),
    ] = ()
    syslog: Annotated[
        str,
        Meta(
            pattern=r"^(/[^\0]+|udp://.+:[0-9]{1,5})$",
            extra={"allowed": "the path of a socket, or `udp://host:port`"},
            description="where devices of type `syslog` write to: a datagram socket of this machine, or "
            "`udp://host:port`",
        ),
    ] = "/dev/log"
