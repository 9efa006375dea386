"""The documents say what is there: links, commands and their options, metrics, endpoints, tests."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kms_actors.actors.tenant import reporting
from kms_actors.cli import client, layer
from kms_actors.transit.key_types import KEY_TYPES
from kms_http.api.routes import (
    ENGINES,
    SYSTEM,
)
from kms_http.routing import Operation, Router
from tests.conformance.byte_table import ROWS
from tests.support.api import Api
from tests.support.node import Node, sqlite_table
from tests.support.tokens import Issuer

ROOT = Path(__file__).parents[1]
_TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "tests/README.md")
DOCUMENTS = sorted([*(ROOT / name for name in _TOP), *(ROOT / "docs").rglob("*.md")])
PROGRAMS: dict[str, click.Command] = {"kms-cli": client.main, "kms-layer": layer.main}

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CALL = re.compile(r"\b(kms-cli|kms-layer)((?: +[^\s|<>;#`)]+)*)")
_METRIC = re.compile(r"^\| `((?:kms|process|python)_\w+)`", re.MULTILINE)
_ENDPOINT = re.compile(r"^\| `([^`]+)` \| ([^|]+)", re.MULTILINE)
_TEST = re.compile(r"`(test_\w+)`")
_FAULT = re.compile(r"^\| ([A-F]\d+) \| (.+) \|$", re.MULTILINE)
#: A test by its file below `tests/`, which is left out where it is that of the one before, and a row of its table.
_TEST_ID = re.compile(r"`([\w/]+\.py)?((?:::\w+)+)(?:\[(\w+)\])?`")
_VERBS = {
    "GET": Operation.READ,
    "LIST": Operation.LIST,
    "POST": Operation.WRITE,
    "PUT": Operation.WRITE,
    "PATCH": Operation.PATCH,
    "DELETE": Operation.DELETE,
    "SCAN": Operation.SCAN,
}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def anchors(text: str) -> set[str]:
    """Return the anchors that headings make."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def section(document: str, title: str) -> str:
    """Return what follows a heading, up to the next one of any level."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    return re.split(r"^#", text.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_links_are_found_in_any_text() -> None:
    assert _LINK.findall("see [a](b.md#c), and\n[d\ne](f.md)") == ["b.md#c", "f.md"]


@each_document
def test_links_resolve(document: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", document.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def calls(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each program that is called in `text` with the words behind it."""
    code = "\n".join(_FENCE.findall(text) + re.findall(r"`([^`\n]+)`", _FENCE.sub("", text)))
    for program, words in _CALL.findall(code.replace("\\\n", " ")):
        yield program, words.split()


@each_document
def test_commands_and_their_options_exist(document: Path) -> None:
    for program, words in calls(document.read_text(encoding="utf-8")):
        command, arguments = PROGRAMS[program], list(words)
        while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
            below = command.get_command(click.Context(command), arguments.pop(0))
            assert below is not None, f"{program} {' '.join(words)}"
            command = below
        known = {"--help", "-h", *(name for option in command.params for name in option.opts)}
        used = {word.partition("=")[0] for word in arguments if word.startswith("--")}
        assert used <= known, f"{program} {' '.join(words)}"


def test_the_guide_calls_every_command_that_makes_or_shows_a_token() -> None:
    text = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    called = {f"{program} {' '.join(words)}" for program, words in calls(text)}
    for command in ("kms-layer", "kms-cli keys", "kms-cli biscuit --addon-id", "kms-cli biscuit attenuate"):
        assert any(call.startswith(command) for call in called), command


def test_operations_names_every_metric_and_no_other(tmp_path: Path) -> None:
    named = _METRIC.findall(section("operations.md", "Metrics"))
    assert len(named) == len(set(named))
    node = Node.for_issuer(tmp_path, sqlite_table, Issuer())
    node.settings = "workers = 2"
    node.start()
    try:
        found = metrics_of(node)
        for _ in range(10):
            if found >= set(named):
                break
            found |= metrics_of(node)  # a worker on a busy machine may be late with its own
    finally:
        node.stop()
    assert set(named) == found


def test_operations_names_every_line_of_the_log_and_no_other() -> None:
    """A line that nobody can look up is no help; nor is a row of one that is never written."""
    rows = re.findall(r"^\| (`[^|]*`) \| ", section("operations.md", "Logs"), re.MULTILINE)
    named = [event for row in rows for event in re.findall(r"`([^`]+)`", row)]
    assert len(named) == len(set(named))
    assert logged() - set(named) == set()
    assert set(named) - {text for tree in trees() for text in texts(tree)} - COMPOSED == set()


#: Lines whose text is put together.
COMPOSED = {
    "unseal progress dropped: the shares do not give the key",
    "rekey progress dropped: the shares do not give the key",
}
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
#: What hands an event on, by the place of it.
_HANDED_ON = {"_complain": 0, "log_failure": 2}


def trees() -> Iterator[ast.Module]:
    """Yield the modules that a node runs."""
    for folder in ("kms_actors", "http/kms_http"):
        for path in (ROOT / folder).rglob("*.py"):
            if "cli" not in path.parts:
                yield ast.parse(path.read_text(encoding="utf-8"))


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield all texts in what may hold some."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def logged() -> set[str]:
    """Return the events that the code names where it logs them, and those of the changes that are reported."""
    found = set(reporting._FAILED.values())
    for tree in trees():
        for call in ast.walk(tree):
            if isinstance(call, ast.Call):
                found.update(events(call))
    for node in ast.walk(ast.parse(Path(reporting.__file__).read_text(encoding="utf-8"))):
        match node:
            case ast.Tuple([event, ast.Dict()]) | ast.Assign([ast.Name("event")], event):
                found.update(texts(event))
    return found


def events(call: ast.Call) -> Iterator[str]:
    """Yield what a call logs, if it does."""
    called = call.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name in _LEVELS and isinstance(called, ast.Attribute) and ast.unparse(called.value).endswith("_log"):
        place = 0
    elif name in _HANDED_ON:
        place = _HANDED_ON[name]
    else:
        return
    for event in call.args[place : place + 1]:
        if not isinstance(event, ast.JoinedStr | ast.Subscript):
            yield from texts(event)


def metrics_of(node: Node) -> set[str]:
    """Return the names of all metrics that a node exposes now."""
    exposed = Api(node.metrics_address).call("GET", "/metrics").body.decode()
    return {name for name in re.findall(r"^# TYPE (\S+)", exposed, re.MULTILINE) if not name.endswith("_created")}


@pytest.mark.parametrize(
    ("titles", "router"),
    [
        (
            (
                "Seal and health",
                "Keys of the operator",
                "Mounts",
                "Audit devices",
                "Logins",
                "Policies",
                "Tokens",
                "Tenants",
                "Quotas",
                "Tools",
                "What a server tells of itself",
                "Identity",
                "Wrapping and cubbyhole",
            ),
            SYSTEM,
        ),
        (("KV version 2",), ENGINES["kv"]),
        (("KV version 1",), ENGINES["kv-v1"]),
        (("Transit",), ENGINES["transit"]),
        (("AppRole",), ENGINES["approle"]),
        (("JWT and OIDC",), ENGINES["jwt"]),
        (("Kubernetes",), ENGINES["kubernetes"]),
        (("Userpass",), ENGINES["userpass"]),
        (("Certificates of clients",), ENGINES["cert"]),
    ],
    ids=["system", "kv", "kv-v1", "transit", "approle", "jwt", "kubernetes", "userpass", "cert"],
)
def test_compatibility_lists_every_endpoint_and_no_other(titles: tuple[str, ...], router: Router) -> None:
    rows = [row for title in titles for row in _ENDPOINT.findall(section("compatibility.md", title))]
    named = {(path, _VERBS[verb]) for path, cell in rows for verb in re.findall(r"[A-Z]+", cell) if verb in _VERBS}
    assert named == set(endpoints(router))


def endpoints(router: Router) -> Iterator[tuple[str, Operation]]:
    """Yield pattern and operation of all endpoints but those that only refuse."""
    for entries in {id(entries): entries for entries in (*router._by_first.values(), router._catch_all)}.values():
        for _, _, route in entries:
            if route.pattern == "{rest...}":
                continue
            for operation, endpoint in route.operations.items():
                if not endpoint.refuses:
                    yield route.pattern, operation


def test_compatibility_names_every_key_type() -> None:
    listed = re.search(r"Key types: ([^.]+)\.", section("compatibility.md", "Transit"))
    assert listed is not None
    assert set(re.findall(r"`([^`]+)`", listed[1])) == set(KEY_TYPES)


def test_the_tests_that_the_security_model_names_exist() -> None:
    named = set(_TEST.findall((ROOT / "docs" / "security.md").read_text(encoding="utf-8")))
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    found = {name for source in sources for name in re.findall(r"def (test_\w+)\(", source)}
    assert named
    assert named <= found


def test_each_fault_has_a_commit_and_tests_that_exist() -> None:
    """Each row of the page has four cells behind its name; where no test shows it, it says so."""
    rows = _FAULT.findall((ROOT / "docs" / "faults.md").read_text(encoding="utf-8"))
    lengths = {"A": 15, "B": 17, "C": 12, "D": 9, "E": 20, "F": 7}
    assert [name for name, _ in rows] == [f"{each}{n + 1}" for each, length in lengths.items() for n in range(length)]
    bytes_rows = {row.name for row in ROWS}
    for name, row in rows:
        _, commits, tests, kind = row.split(" | ")
        assert re.fullmatch(r"[0-9a-f]{7}(, [0-9a-f]{7})*", commits), name
        assert _TEST_ID.search(tests) or "not shown" in tests, name
        file = ""
        for path, test, case in _TEST_ID.findall(f"{tests} {kind}"):
            file = path or file
            assert test in defined(file), f"{name}: {file}{test}"
            assert not case or case in bytes_rows, f"{name}: {case}"


@functools.cache
def defined(file: str) -> set[str]:
    """Return the tests of a file, each as `::test` or `::Class::test`."""
    found = set()
    for node in ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8")).body:
        inner = [(f"::{node.name}", each) for each in node.body] if isinstance(node, ast.ClassDef) else [("", node)]
        for place, each in inner:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_"):
                found.add(f"{place}::{each.name}")
    return found
