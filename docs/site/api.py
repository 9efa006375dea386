"""Pages of the API: what its OpenAPI document says, an area a page, and who may ask for it.

The document is made from the table of routes, as `sys/internal/specs/openapi` answers it to a token with every right.
Areas, and what each path needs, are those of `docs/compatibility.md`: a test holds its tables to the routes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from docs.site.markdown import escaped, table
from kms_actors.auth.principal import Right
from kms_actors.mounts import Mount
from kms_http.api.routes import CATALOGUE

_COMPATIBILITY: Final = Path(__file__).parents[1] / "compatibility.md"
#: Mounts that are shown: title of the area, type, path, version of `kv`.
_MOUNTS: Final = (
    ("KV version 2", "kv", "secret/", "2"),
    ("KV version 1", "kv", "kv-v1/", "1"),
    ("Transit", "transit", "transit/", ""),
    ("AppRole", "approle", "auth/approle/", ""),
    ("JWT and OIDC", "jwt", "auth/jwt/", ""),
    ("Kubernetes", "kubernetes", "auth/kubernetes/", ""),
    ("Certificates of clients", "cert", "auth/cert/", ""),
    ("Userpass", "userpass", "auth/userpass/", ""),
)
_VERBS: Final = {"get": "GET", "post": "POST", "patch": "PATCH", "delete": "DELETE"}
#: Methods of tables that are another one's in an OpenAPI document.
_OTHER_NAMES: Final = {"PUT": "POST", "LIST": "GET", "SCAN": "GET"}
_ROW: Final = re.compile(r"^\| `([^`]+)` \| ([^|]+?) \|(?: (.*) \|)?$", re.MULTILINE)
_ROOM: Final = re.compile(r"^### (.+)$", re.MULTILINE)
_NAMED: Final = re.compile(r"\{(\w+)\.\.\.\}")
_PLAIN: Final = r"{\1}"


class Area(NamedTuple):
    """A page: its title, and what its paths need by path and method."""

    title: str
    needs: Mapping[tuple[str, str], str]

    @property
    def name(self) -> str:
        """The name of its page."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower())


def document() -> dict[str, Any]:
    """Return the OpenAPI document of all that anybody may ask for."""
    mounts = [
        Mount(path, kind, number, "", "", options={"version": version} if version else {})
        for number, (_, kind, path, version) in enumerate(_MOUNTS)
    ]
    whole: dict[str, Any] = json.loads(CATALOGUE.document(Right.ROOT, mounts))
    clusters: dict[str, Any] = json.loads(CATALOGUE.document(Right.OPERATOR, ()))
    for path, item in clusters["paths"].items():
        whole["paths"][path] = {**item, **whole["paths"].get(path, {})}
    whole["components"]["schemas"] = {**clusters["components"]["schemas"], **whole["components"]["schemas"]}
    return whole


def areas() -> list[Area]:
    """Return the areas that `docs/compatibility.md` has tables of endpoints for."""
    prefixes = {title: path for title, _, path, _ in _MOUNTS}
    _, *parts = _ROOM.split(_COMPATIBILITY.read_text(encoding="utf-8"))
    found = []
    for title, below in zip(parts[::2], parts[1::2], strict=True):
        needs: dict[tuple[str, str], str] = {}
        text = below.partition("\n## ")[0]
        told = "| needs |" in text
        for pattern, methods, needed in _ROW.findall(text):
            path = f"/{prefixes.get(title, '')}{_NAMED.sub(_PLAIN, pattern)}"
            for method in re.findall(r"\b[A-Z]{3,6}\b", methods):
                needs.setdefault((path, _OTHER_NAMES.get(method, method)), needed if told else "")
        if needs:
            found.append(Area(title, needs))
    return found


def pages() -> Iterator[tuple[str, str]]:
    """Yield names and texts of the pages, the index first, and the document itself.

    Raises:
        ValueError: a path of the document belongs to no area.

    """
    whole = document()
    found = areas()
    placed: dict[str, list[str]] = {area.name: [] for area in found}
    for path in whole["paths"]:
        area = next((area for area in found if any(path == known for known, _ in area.needs)), None)
        if area is None:
            raise ValueError(f"{path}: docs/compatibility.md has it in no table")
        placed[area.name].append(path)
    shown = [area for area in found if placed[area.name]]
    yield "api/index.md", _index(shown, placed)
    yield "api/openapi.json", json.dumps(whole, indent=2) + "\n"
    for area in shown:
        yield f"api/{area.name}.md", _page(area, placed[area.name], whole)


def _index(shown: list[Area], placed: Mapping[str, list[str]]) -> str:
    rows = [(f"[{area.title}]({area.name}.md)", str(len(placed[area.name]))) for area in shown]
    names = "".join(f"{area.title} <{area.name}>\n" for area in shown)
    return f"""# API

Every path begins with `/v1/`. Requests and answers are those of the HashiCorp Vault API; where an answer differs on
purpose, [compatibility](../compatibility.md#where-answers-differ-on-purpose) says so. A token goes into the header
`X-Vault-Token`, or `Authorization: Bearer`.

These pages are made from the [OpenAPI document](openapi.json), which a node has too, with what your own token may ask
for and your own mounts:

```text
curl -H "X-Vault-Token: $VAULT_TOKEN" "$VAULT_ADDR/v1/sys/internal/specs/openapi"
```

`PUT` does what `POST` does. A list is `LIST`, or `GET` with `?list=true`. Engines are shown at the paths where a new
vault has them, or where `vault secrets enable` and `vault auth enable` put them by default.

{table(("area", "paths"), rows)}
```{{toctree}}
:hidden:

{names}```
"""


def _page(area: Area, paths: list[str], whole: Mapping[str, Any]) -> str:
    parts = [f"# {area.title}\n"]
    for path in paths:
        item = whole["paths"][path]
        parts.append(f"## `{path}`\n")
        if item.get("description"):
            parts.append(f"{escaped(item['description'])}\n")
        for verb, method in _VERBS.items():
            if verb in item:
                parts.append(_operation(area, path, (verb, method), whole))
    return "\n".join(parts)


def _operation(area: Area, path: str, asked: tuple[str, str], whole: Mapping[str, Any]) -> str:
    item, (verb, method) = whole["paths"][path], asked
    operation = item[verb]
    lists = any(each["name"] in {"list", "scan"} and each.get("required") for each in operation.get("parameters", ()))
    lines = [f"**{'LIST' if lists else method}** `{path}`\n"]
    summary = operation.get("summary", "")
    if summary and summary != item.get("description"):
        lines.append(f"{escaped(summary)}\n")
    needed = area.needs.get((path, method))
    if needed:
        lines.append(f"Needs: {_moved(needed)}.\n")
    rows = [
        (f"`{each['name']}`", each["in"], _kind(each["schema"]), _described(each, required=each.get("required")))
        for each in (*item.get("parameters", ()), *operation.get("parameters", ()))
    ]
    schema = _schema(operation, whole["components"]["schemas"])
    rows += [
        (f"`{name}`", "body", _kind(each), _described(each, required=name in schema.get("required", ())))
        for name, each in schema.get("properties", {}).items()
    ]
    if schema.get("additionalProperties"):
        rows.append(("…", "body", "", "any others"))
    if rows:
        lines.append(table(("field", "in", "type", "what"), rows))
    answers = ", ".join(f"{code} ({answer['description']})" for code, answer in operation["responses"].items())
    lines.append(f"Answer: {answers}.\n")
    return "\n".join(lines)


def _moved(needed: str) -> str:
    """Return a cell of `docs/compatibility.md` with links as they are from a folder below."""
    return re.sub(
        r"\]\((?!\w+:)(#)?", lambda found: f"](../{'compatibility.md#' if found[1] else ''}", needed.strip()
    )


def _schema(operation: Mapping[str, Any], schemas: Any) -> Mapping[str, Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    found: Mapping[str, Any] = schemas[content["$ref"].rpartition("/")[2]] if "$ref" in content else content
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {schema.get('items', {}).get('type', 'any')}"
    return kind


def _described(field: Mapping[str, Any], *, required: object) -> str:
    text = escaped(field.get("description", ""))
    return f"**required.** {text}".strip() if required else text
