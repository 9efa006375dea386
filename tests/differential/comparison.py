"""What two answers have in common: what must be equal is compared, what is random or a time is masked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography import x509

from tests.differential.pair import Answer


def masked(answer: Answer) -> Answer:
    """Return an answer whose values must equal those of the other server."""
    return answer._replace(data=_masked("", _common(answer.data)))


def _common(data: Any) -> Any:
    """Leave out what this project adds to the data of the API: a key's `usage`."""
    if isinstance(data, dict) and "latest_version" in data:
        return {name: value for name, value in data.items() if name != "usage"}
    return data


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {inner: _masked(_place(name, inner, value), entry) for inner, entry in value.items()}
    if isinstance(value, list):
        return [_masked(name, entry) for entry in value]
    mask = _MASKS.get(name)
    return value if mask is None or value == "" else mask(value)


def _place(outer: str, name: str, entries: dict[str, Any]) -> str:
    """Name an entry: as its mapping, where the names are versions of a key."""
    if outer == "keys" and name.isdigit():
        return "keys" if isinstance(entries[name], dict) else "key version"
    if name == "plaintext" and "ciphertext" in entries:
        return "data key"
    return name


def _size(text: str) -> str:
    return f"<{len(text)} characters>"


def _prefix(text: str) -> str:
    return text[: text.rindex(":")] if ":" in text else text


def _form(value: Any) -> str:
    """Tell the kind of key material, or that it is a time."""
    if isinstance(value, int):
        return "<time>"
    text = str(value)
    if text.startswith("-----"):
        return repr(text.partition("\n")[0] + text[-1:])
    return "<DER>" if len(text) > 700 else _size(text)


def _request(text: str) -> str:
    """Tell what a certificate signing request says, but for its key and signature."""
    loaded = x509.load_pem_x509_csr(text.encode())
    assert loaded.is_signature_valid
    told = (loaded.subject, list(loaded.extensions), loaded.signature_algorithm_oid, text.count("\n") > 1)
    return f"<{told} {text[:1]!r} {text[-1:]!r}>"


_MASKS: Final[Mapping[str, Callable[[Any], str]]] = {
    "ciphertext": lambda text: _prefix(text) + _size(text),
    "signature": _prefix,
    "hmac": lambda text: _prefix(text) + _size(text),
    "data key": _size,
    "random_bytes": _size,
    "key version": _form,
    "public_key": _form,
    "publickey": _form,
    "creation_time": lambda _: "<time>",
    "created_time": lambda _: "<time>",
    "updated_time": lambda _: "<time>",
    "deletion_time": lambda _: "<time>",
    "time": lambda _: "<time>",
    "backup": lambda _: "<backup>",
    "csr": _request,
    "certificate_chain": lambda text: f"<{text.count('-----BEGIN')} certificates>" + repr(text[-1:]),
}
