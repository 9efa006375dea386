"""What the server tells of its own API: complete, valid, and for each caller of his own vault alone.

The kind: a route, or a field of it, that comes without a word about it. Both are told from the
tables that are served.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from openapi_spec_validator import validate

from kms_actors.auth.principal import Right
from kms_actors.errors import InvalidRequest
from kms_actors.mounts import Mount
from kms_http.api.routes import BACKENDS, CATALOGUE, SYSTEM_ROUTES
from kms_http.describing import catalogue
from kms_http.describing.about import Backend, field_text
from kms_http.describing.kinds import is_known
from kms_http.describing.openapi import Template
from kms_http.routing import Operation, Route

_IN_THE_PATH: Final = "all that there is to say is in the path"
#: Converters of durations and times. Those of mounts are not here, whose settings are all left alone by null, and
#: those of KV, where null in a merge patch is a value.
_DURATIONS: Final = frozenset({"to_duration", "to_period", "to_seconds", "_to_moment", "to_time"})

#: Writes that take nothing from a body, and why.
BODILESS: Final = {
    "sys/seal": _IN_THE_PATH,
    "sys/rotate": _IN_THE_PATH,
    "sys/rotate/keyring": _IN_THE_PATH,
    "sys/locked-users/{mount_accessor}/unlock/{alias_identifier...}": _IN_THE_PATH,
    "sys/leases/tidy": _IN_THE_PATH,
    "sys/tenants/{vault_id}/seal": _IN_THE_PATH,
    "sys/tenants/{vault_id}/keep": _IN_THE_PATH,
    "sys/workflows/execute/{path...}": "there is no workflow that would take it",
    "sys/workflows/trace/{path...}": "there is no workflow that would take it",
    "auth/token/tidy": _IN_THE_PATH,
    "keys/{name}/rotate": _IN_THE_PATH,
    "keys/{name}/soft-delete-restore": _IN_THE_PATH,
    "tidy/secret-id": _IN_THE_PATH,
}

V2: Final = {"version": "2"}


def mount(path: str, engine: str, **options: str) -> Mount:
    return Mount(path, engine, 1, "u", "a", "", options)


MOUNTS: Final = [
    mount("secret/", "kv", version="2"),
    mount("plain/", "kv", version="1"),
    mount("transit/", "transit"),
    *(mount(f"auth/{kind}/", kind) for kind in ("approle", "jwt", "kubernetes", "oidc", "userpass")),
]


def documented(right: Right | None, mounts: list[Mount], **how: Any) -> Any:
    return json.loads(CATALOGUE.document(right, mounts, **how))


def described() -> Iterator[tuple[Backend, Route]]:
    for backend in BACKENDS:
        for route in backend.routes:
            if not all(endpoint.refuses for endpoint in route.operations.values()):
                yield backend, route


def test_every_route_belongs_to_one_backend() -> None:
    told = [route.pattern for backend in BACKENDS if backend.prefix for route in backend.routes]
    assert sorted(told) == sorted(route.pattern for route in SYSTEM_ROUTES)


def test_every_route_has_a_line() -> None:
    assert [
        (backend.name, route.pattern) for backend, route in described() if not backend.about(route).synopsis
    ] == []


def test_no_line_is_of_a_route_that_is_not_there() -> None:
    for backend in BACKENDS:
        assert set(backend.texts) <= {route.pattern for route in backend.routes}, backend.name


def test_every_field_has_a_type_and_a_text() -> None:
    silent = []
    for backend, route in described():
        about = backend.about(route)
        for endpoint in route.operations.values():
            for name, converter in endpoint.fields.declared.items():
                if not is_known(name, converter) or not field_text(about, name):
                    silent.append((backend.name, route.pattern, name))
            if endpoint.fields.declared and Operation.WRITE in route.operations:
                declared = route.operations[Operation.WRITE].fields.declared
                assert set(about.required) <= declared.keys(), route.pattern
    assert silent == []


def test_every_write_says_what_its_body_is() -> None:
    """The kind: a route that reads its body itself, of which nobody is told."""
    silent = {
        route.pattern
        for backend, route in described()
        for verb, operation in (("post", Operation.WRITE), ("patch", Operation.PATCH))
        if (endpoint := route.operations.get(operation)) is not None
        and not endpoint.refuses
        and "requestBody" not in operations_of(backend, route)[verb]
    }
    assert silent == BODILESS.keys()


def operations_of(backend: Backend, route: Route) -> Any:
    """Return the path item of a route, as its help has it."""
    template = Template(backend._replace(routes=(route,)), cut=backend.prefix)
    (item,) = json.loads(b"{%b}" % template.at("", "")).values()
    return item


def test_what_go_structs_take_has_its_types() -> None:
    schemas = documented(Right.ROOT, [])["components"]["schemas"]
    told = {field: each["type"] for field, each in schemas["WriteSysUnsealRequest"]["properties"].items()}
    assert told == {"key": "string", "reset": "boolean", "migrate": "boolean"}
    made = schemas["WriteSysInitRequest"]["properties"]
    assert (made["secret_shares"]["type"], made["pgp_keys"]["items"]) == ("integer", {"type": "string"})
    codes = documented(None, [])["paths"]["/sys/health"]["get"]["parameters"]
    assert [each["name"] for each in codes] == ["activecode", "sealedcode", "uninitcode"]


@pytest.mark.parametrize(
    ("right", "generic"), [(None, False), (Right.OPERATOR, False), (Right.ROOT, False), (Right.ROOT, True)]
)
def test_documents_are_valid(right: Right | None, generic: bool) -> None:
    mounts = [] if right in (None, Right.OPERATOR) else MOUNTS
    document = documented(right, mounts, generic=generic, context="x")
    assert document["openapi"] == "3.0.2"
    validate(document)


def test_a_vault_finds_its_mounts_and_the_operations_of_each() -> None:
    paths = documented(Right.ROOT, MOUNTS)["paths"]
    secret = paths["/secret/data/{path}"]
    assert {verb for verb in secret if verb in {"get", "post", "patch", "delete", "put"}} == {
        "get",
        "post",
        "patch",
        "delete",
    }
    assert secret["x-vault-createSupported"] is True
    assert [parameter["name"] for parameter in secret["parameters"]] == ["path"]
    assert paths["/plain/{path}"]["post"]["requestBody"]
    assert paths["/auth/userpass/login/{username}"]["x-vault-unauthenticated"] is True
    assert paths["/auth/token/accessors"]["x-vault-sudo"] is True
    listed = paths["/secret/metadata"]["get"]["parameters"]
    assert {parameter["name"] for parameter in listed} == {"after", "limit", "list", "scan"}
    only = paths["/sys/policies/acl"]["get"]["parameters"]
    assert [(parameter["name"], parameter["required"]) for parameter in only if "required" in parameter] == [
        ("list", True)
    ]


def test_fields_have_their_types_and_what_is_needed_is_said() -> None:
    document = documented(Right.ROOT, MOUNTS)
    schemas = document["components"]["schemas"]
    write = document["paths"]["/secret/data/{path}"]["post"]["requestBody"]
    assert write["required"] is True
    name = write["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert schemas[name]["required"] == ["data"]
    kinds = {field: (told.get("type"), told.get("format")) for field, told in schemas[name]["properties"].items()}
    assert kinds == {"data": ("object", "map"), "options": ("object", "map"), "version": ("integer", None)}


def test_generic_documents_have_mounts_as_parameters() -> None:
    paths = documented(Right.ROOT, MOUNTS, generic=True)["paths"]
    first = paths["/{secret_mount_path}/data/{path}"]["parameters"][0]
    assert (first["name"], first["schema"]["default"]) == ("secret_mount_path", "secret")
    login = paths["/auth/{userpass_mount_path}/login/{username}"]["parameters"][0]
    assert login["schema"]["default"] == "userpass"


def test_an_operator_is_told_of_seals_and_no_mount() -> None:
    paths = documented(Right.OPERATOR, [])["paths"]
    assert "/sys/unseal" in paths
    assert "/sys/policies/acl" not in paths
    assert set(documented(None, [])["paths"]) < set(documented(Right.ROOT, [])["paths"])


@pytest.mark.parametrize(
    "path", ['a"b/', "@mount@/", "@id@/", "@parameter@/", "ü x/", "a-b/", "a/b/", "{x}/", "\\n/"]
)
def test_any_path_of_a_mount_gives_a_document(path: str) -> None:
    mounts = [*MOUNTS, mount(path, "kv", version="2"), mount(f"b{path}", "transit"), mount("a.b/", "transit")]
    for generic in (False, True):
        document = documented(Right.ROOT, mounts, generic=generic)
        ids = [
            operation["operationId"]
            for item in document["paths"].values()
            for operation in item.values()
            if isinstance(operation, dict)
        ]
        assert len(ids) == len(set(ids))
        assert not any("@" in identity for identity in ids)
    assert f"/{path}data/{{path}}" in documented(Right.ROOT, mounts)["paths"]


def test_documents_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MOST_BYTES", 1 << 20)
    many = [mount(f"transit-{number}/", "transit") for number in range(256)]
    with pytest.raises(InvalidRequest, match="many mounts"):
        CATALOGUE.document(Right.ROOT, many)


def test_help_is_that_of_the_route_with_its_fields() -> None:
    told = CATALOGUE.help_of_mount(MOUNTS[0], "data/app/db")
    assert told is not None
    assert told["help"].startswith("Request:        data/app/db\nMatching Route: ^data/(?P<path>")
    for part in ("## PARAMETERS", "    data (map)\n\n        The secret", "    version (int)", "## DESCRIPTION"):
        assert part in told["help"]
    document = json.loads(told["openapi"].text)
    validate(document)
    assert list(document["paths"]) == ["/data/{path}"]
    assert told["see_also"] is None


@pytest.mark.parametrize("place", ["sys", "sys/", "auth/token", "identity/", "cubbyhole"])
def test_help_of_a_backend_lists_its_routes(place: str) -> None:
    told = CATALOGUE.help_of_system(place)
    assert told is not None
    assert "## PATHS" in told["help"]
    assert not any(path.startswith("/sys/") for path in json.loads(told["openapi"].text)["paths"])


def test_what_is_nowhere_has_no_help() -> None:
    assert CATALOGUE.help_of_system("sys/none") is None
    assert CATALOGUE.help_of_mount(MOUNTS[2], "none/x") is None
    assert CATALOGUE.help_of_mount(mount("odd/", "odd"), "x") is None


def test_null_says_nothing_of_a_duration_or_a_time() -> None:
    """As in Vault's framework: a client that sends null for a bound does not lift it."""
    heard: list[tuple[str, str, str]] = []
    converters: set[str] = set()
    for backend, route in described():
        for endpoint in route.operations.values():
            for name, converter in endpoint.fields.declared.items():
                if getattr(converter, "__name__", "") in _DURATIONS and endpoint.fields.parse({name: None})[0]:
                    heard.append((backend.name, route.pattern, name))
                converters.add(getattr(converter, "__name__", ""))
    assert heard == []
    assert converters >= _DURATIONS
