"""What callers send is read by libraries under one guard, so that none of their exceptions leaves an engine.

The kind: a library is handed bytes of a caller and raises what nobody listed: an error of its own, `OverflowError`, a
panic of Rust. Here the guard itself is tested; and that no call of such a library stands outside of it, by a look at
the code: a parser that is added without the guard fails the test. Mutated inputs are in `transit/exchange`.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from kms_actors.errors import FormatError, InvalidRequest, NotFound
from kms_actors.untrusted import untrusted

ENGINE = Path(__file__).parents[1] / "kms_actors" / "transit"

#: Names of what reads a structure out of bytes, in the libraries in use.
PARSERS = frozenset(
    {
        "load_der_private_key",
        "load_der_public_key",
        "load_der_x509_certificate",
        "load_der_x509_csr",
        "load_pem_private_key",
        "load_pem_public_key",
        "load_pem_x509_certificate",
        "load_pem_x509_certificates",
        "load_pem_x509_csr",
        "aes_key_unwrap_with_padding",
        "decode_dss_signature",
        "fromisoformat",
    }
)
#: Functions that read what this program has sealed itself: their errors are damage, not a caller's mistake. And those
#: that are called under the guard alone.
OWN_RECORDS = frozenset({"schemes/rsa.py:private", "schemes/ecdsa.py:private", "schemes/scheme.py:public"})
OWN_RECORDS |= {"schemes/ed25519.py:public", "schemes/ecdsa.py:sign"}


class Panic(BaseException):
    """As those of libraries written in Rust."""


@pytest.mark.parametrize(
    "error", [ValueError("x"), OverflowError(), KeyError(), RecursionError(), ZeroDivisionError(), Panic("secret")]
)
def test_whatever_a_library_raises_is_the_callers_mistake_and_shows_nothing(error: BaseException) -> None:
    with pytest.raises(InvalidRequest) as caught, untrusted("not a key"):
        raise error
    assert str(caught.value) == "not a key"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "error", [NotFound(), KeyboardInterrupt(), SystemExit(), asyncio.CancelledError(), MemoryError()]
)
def test_what_is_no_fault_of_an_input_passes(error: BaseException) -> None:
    with pytest.raises(type(error)), untrusted("not a key"):
        raise error


def test_another_error_can_stand_in_its_place() -> None:
    with pytest.raises(FormatError, match="damaged"), untrusted("damaged", FormatError):
        raise ValueError


def _unguarded(tree: ast.AST, function: str = "", guarded: bool = False) -> Iterator[tuple[str, str]]:
    """Yield function and parser of each call outside of the guard."""
    for node in ast.iter_child_nodes(tree):
        inside, within = function, guarded
        if isinstance(node, ast.FunctionDef):
            inside = node.name
        elif isinstance(node, ast.With):
            within = guarded or any("untrusted(" in ast.unparse(item.context_expr) for item in node.items)
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in PARSERS and not guarded:
                yield inside, name
        yield from _unguarded(node, inside, within)


def test_no_parser_of_callers_bytes_stands_outside_of_the_guard() -> None:
    found = {
        f"{path.relative_to(ENGINE)}:{function}"
        for path in ENGINE.rglob("*.py")
        for function, _ in _unguarded(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == OWN_RECORDS
