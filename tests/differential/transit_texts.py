"""Texts of the reference server and of this project that say the same of Transit, in one form."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tests.differential.pair import Answer


class Rewording(NamedTuple):
    """Texts of the reference and of this project that say the same."""

    reason: str
    theirs: str  # a pattern
    ours: str  # what it becomes


#: Applied to the texts of both servers, in this order.
REWORDINGS: Final = (
    *(
        Rewording("the library that reads batches tells the same in two forms", theirs, ours)
        for theirs, ours in (
            (r"(: )\d+ error\(s\) decoding:\n\n", r"\1"),
            (r"(: )decoding failed due to the following error\(s\):\n\n", r"\1"),
            (r"(?m)^\* |(?<=: )\* |(?<=: )'' ", ""),
            (r"map\[string\]interface \{\}$", "map"),
            (r"'(\[\d+\])' expected type 'transit\.\w+', got unconvertible type", r"\1 expected a map, got"),
            (r"'(\[\d+\])' expected a map or struct, got \"(\w+)\"", r"\1 expected a map, got '\2'"),
            (r"(must be an array or slice, got) json.Number", r"\1 string"),
            (r"'(\S+)' cannot parse value as 'int': strconv", r"error decoding json.Number into \1: strconv"),
        )
    ),
    Rewording("no text repeats a value that a caller sent", r'(field "[^"]+"): .*', r"\1"),
    Rewording(
        "no text repeats a value that a caller sent", r"strconv.ParseInt: parsing \"[^\"]*\"", "strconv.ParseInt"
    ),
    Rewording(
        "what cannot be read is not told in the words of Go's libraries",
        r"(?s)(error parsing asymmetric key|peer public key PEM|certificate in the certificate chain): .*",
        r"\1",
    ),
    Rewording(
        "what cannot be read is not told in the words of Go's libraries",
        r"asn1: .*|x509: .*|could not parse the CSR that was given",
        "malformed",
    ),
    Rewording(
        "what cannot be read is not told in the words of Go's libraries",
        r"(?s)invalid character .*|unexpected end of JSON input|json: .*|invalid backup: it is not the JSON of one",
        "not JSON",
    ),
    Rewording(
        "a private key of another type is none of this pair",
        "failed to parse key entry public key: .*",
        "cannot import key, key pair does not match",
    ),
    Rewording(
        "what a key to wrap with cannot do is told otherwise since OpenBao 2.7",
        r"key wrapping \(requring message signing\) is not supported",
        "message signing not supported",
    ),
    Rewording("OpenBao adds its own history", r" \(prior to the OpenBao fork\)", ""),
    Rewording("a single item has no place in a batch", r"'\[0\].associated_data'", "'associated_data'"),
    Rewording(
        "a character of no meaning is told instead of the name", r"unsupported algorithm .*", "unsupported algorithm"
    ),
)

#: Fields that only this project has.
_OF_OURS: Final = ("usage",)


def same(answer: Answer) -> Answer:
    """Return an answer with its texts in that form, without fields of one server only."""
    answer = without(answer, *_OF_OURS)
    return answer._replace(errors=_reworded(answer.errors), warnings=_reworded(answer.warnings))


def _reworded(texts: tuple[str, ...]) -> tuple[str, ...]:
    for _, theirs, ours in REWORDINGS:
        texts = tuple(re.sub(theirs, ours, text) for text in texts)
    return tuple(_sorted(text) if text.startswith(_BATCH) else text for text in texts)


def _sorted(text: str) -> str:
    return _BATCH + "\n".join(sorted(text.removeprefix(_BATCH).split("\n")))


#: All that is wrong with the shape of a batch is told, in any order.
_BATCH: Final = "failed to parse batch input: "


def without(answer: Answer, *names: str) -> Answer:
    """Return an answer without these fields of its data."""
    data = answer.data
    if isinstance(data, dict):
        data = {name: value for name, value in data.items() if name not in names}
    return answer._replace(data=data)
