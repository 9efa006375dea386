"""Base64 as Go reads it, down to the texts of its errors."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

from kms_actors.errors import InvalidRequest

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LINE_ENDS = b"\r\n"
_PADDING = ord("=")
#: Characters, and bytes, that are worked on without a break: in between, other threads get at the interpreter.
_CHARACTERS = 256 * 1024
AT_ONCE = _CHARACTERS // 4 * 3
_TO_STANDARD = str.maketrans("-_+/", "+/**")  # a star is in no alphabet


def decode(text: str) -> bytes:
    """Return the bytes of `text`; raises InvalidRequest that names the place of the error."""
    try:
        return decode_base64(text)
    except ValueError:
        place = error_place(text.encode("utf-8", "surrogatepass"))
        raise InvalidRequest(f"illegal base64 data at input byte {place}") from None


def encode(data: bytes) -> str:
    """Return the base64 of `data`, padded and without line ends."""
    if len(data) <= AT_ONCE:
        return b2a_base64(data, newline=False).decode("ascii")
    parts = range(0, len(data), AT_ONCE)
    return "".join([b2a_base64(data[start : start + AT_ONCE], newline=False).decode("ascii") for start in parts])


def decode_base64(text: str) -> bytes:
    """Decode as Go's StdEncoding does: padding required, line ends ignored, unused trailing bits too.

    Raises:
        ValueError: anything else. The text says nothing about where.

    """
    if len(text) > _CHARACTERS:
        return _decode_long(text)
    try:
        decoded = a2b_base64(text, strict_mode=True)
    except ValueError:
        bare = text.replace("\n", "").replace("\r", "")
        if len(bare) == len(text):
            raise
        return decode_base64(bare)
    # The strict mode of the library lets padding behind a complete group pass.
    if (len(decoded) + 2) // 3 * 4 != len(text):
        raise ValueError("excess padding")
    return decoded


def decode_base64url(text: str) -> bytes:
    """Decode as Go's RawURLEncoding does: no padding, line ends ignored, unused trailing bits too."""
    bare = text.replace("\n", "").replace("\r", "").translate(_TO_STANDARD)
    if "=" in bare or len(bare) % 4 == 1:
        raise ValueError("not base64url without padding")
    return decode_base64(bare + "=" * (-len(bare) % 4))


def _decode_long(text: str) -> bytes:
    bare = text.replace("\n", "").replace("\r", "")
    last = (len(bare) - 1) // _CHARACTERS * _CHARACTERS
    parts = [a2b_base64(bare[start : start + _CHARACTERS], strict_mode=True) for start in range(0, last, _CHARACTERS)]
    if sum(map(len, parts)) != last // 4 * 3:
        raise ValueError("padding before the end")
    return b"".join([*parts, decode_base64(bare[last:])])


def error_place(data: bytes) -> int:
    """Return the index of what makes `data` illegal: a byte, or the first one of an incomplete group.

    Go counts that first one back from the end, line ends included.
    """
    foreign = data.translate(None, _ALPHABET + _LINE_ENDS)
    place = data.index(foreign[0]) if foreign else len(data)
    in_group = (place - sum(data.count(end, 0, place) for end in _LINE_ENDS)) % 4
    if not foreign:
        return place - in_group
    return place if foreign[0] != _PADDING or in_group < 2 else _padding_error(data, place, in_group)


def _padding_error(data: bytes, place: int, in_group: int) -> int:
    """Return the error behind the `=` at `place`, which may be there."""
    rest = _skip_line_ends(data, place + 1)
    if in_group == 2:
        if rest == len(data):
            return rest
        if data[rest] != _PADDING:
            return rest - 1
        rest = _skip_line_ends(data, rest + 1)
    return rest


def _skip_line_ends(data: bytes, place: int) -> int:
    while place < len(data) and data[place] in _LINE_ENDS:
        place += 1
    return place
