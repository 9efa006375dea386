"""Where the secrets of a seal come from, and the seal `static`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from kms_actors.cli.private_file import create_private
from kms_actors.config import MasterKeyringProvider, SettingError
from kms_actors.errors import IntegrityError
from kms_actors.keyring.check_value import key_check_value
from kms_actors.seals.provider import Wrapped
from kms_actors.seals.sources import Source
from kms_actors.seals.static import StaticProvider
from kms_actors.secret import SecretBytes

KEY = SecretBytes(bytes(range(32)))
OLD, NEW = "a1" * 32, "b2" * 32


def private(path: Path, text: str) -> Path:
    create_private(path, text)
    return path


def static(namespace: str = "kms-c1", **settings: str) -> StaticProvider:
    tree = {"name": "static", "namespace": namespace, "node_name": "n1", **settings}
    return StaticProvider.of(msgspec.convert(tree, MasterKeyringProvider))


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o601, 0o602])
def test_a_file_that_is_open_to_others_is_not_used(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "key", "canary")
    path.chmod(mode)
    with pytest.raises(SettingError) as caught:
        Source("x.key_file", str(path)).read()
    assert str(caught.value).startswith(f"key `x.key_file`: {path} is open to others (mode 0{mode:o})")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_file_of_its_owner_and_perhaps_a_group_is_used(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "key", "  text\n")
    path.chmod(mode)
    assert Source("x.key_file", str(path)).read().reveal() == b"text"


def test_a_credential_lies_where_systemd_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Source("x.key_credential", "master.key", credential=True)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(SettingError, match=r"key `x\.key_credential`: there is no \$CREDENTIALS_DIRECTORY"):
        own.read()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(SettingError, match=r"master\.key: no such file"):
        own.read()
    private(tmp_path / "master.key", "text")
    assert own.read().reveal() == b"text"
    for name in ("../key", "..", "", "a/b"):
        with pytest.raises(SettingError, match="is no name of a credential"):
            Source("x.key_credential", name, credential=True).read()


async def test_what_a_static_key_has_wrapped_opens_by_it_alone_and_in_its_cluster_alone(tmp_path: Path) -> None:
    path = private(tmp_path / "key", OLD)
    own = static(key_file=str(path))
    wrapped = await own.wrap(KEY)
    assert wrapped.key_id == key_check_value(SecretBytes(bytes.fromhex(OLD)))
    assert KEY.reveal() not in wrapped.blob
    assert await own.unwrap(wrapped) == KEY
    with pytest.raises(IntegrityError):
        await static("kms-c2", key_file=str(path)).unwrap(wrapped)
    with pytest.raises(IntegrityError):
        await own.unwrap(Wrapped(wrapped.key_id, wrapped.blob[:-1] + b"\0"))
    other = static(key_file=str(private(tmp_path / "other", NEW)))
    with pytest.raises(SettingError, match=r"_provider\.key_file`: .*other holds the master key of another"):
        await other.unwrap(wrapped)


async def test_a_second_static_key_opens_and_the_first_one_wraps(tmp_path: Path) -> None:
    old, new = private(tmp_path / "old", OLD), private(tmp_path / "new", NEW)
    wrapped = await static(key_file=str(old)).wrap(KEY)
    for own in (
        static(key_file=str(new), second_key_file=str(old)),
        static(key_file=str(old), second_key_file=str(new)),
    ):
        assert await own.unwrap(wrapped) == KEY
    newer = await static(key_file=str(new), second_key_file=str(old)).wrap(KEY)
    assert newer.key_id != wrapped.key_id
    assert await static(key_file=str(new)).unwrap(newer) == KEY


async def test_a_static_key_may_be_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    own = static(key_credential="master.key")
    with pytest.raises(SettingError, match=r"key `master_keyring_provider\.key_credential`"):
        await own.check()
    private(tmp_path / "master.key", OLD + "\n")
    await own.check()
    assert await own.unwrap(await own.wrap(KEY)) == KEY
