import pytest

from kms_actors.token.records import Accessor, UsesLeft
from kms_actors.token.spec import Issued, TokenSpec

SPEC = TokenSpec(policies=("app", "default"), display_name="token", path="auth/token/create", under="canary")


def test_a_parent_ends_the_line() -> None:
    TokenSpec(policies=(), display_name="", path="", parent="B", line=("A", "B"))
    for parent, line in (("A", ("A", "B")), ("A", ()), ("", ("A",))):
        with pytest.raises(ValueError, match="ends its line"):
            TokenSpec(policies=(), display_name="", path="", parent=parent, line=line)


def test_no_repr_shows_a_token() -> None:
    assert "canary" not in repr((SPEC, Issued("canary", "canary", SPEC, 0.0, None)))


class TestRecords:
    #: Written by format 1: they must decode for ever.
    ACCESSOR = b'{"hash":"aGhoaA==","proof":"cHBwcA==","expires_at":1795503611.5,"format":1}'
    USES = b'{"uses":3,"format":1}'

    def test_stored_bytes_stay_readable(self) -> None:
        accessor = Accessor(hash=b"hhhh", proof=b"pppp", expires_at=1_795_503_611.5)
        assert (accessor.encode(), Accessor.decode(self.ACCESSOR)) == (self.ACCESSOR, accessor)
        assert (UsesLeft(uses=3).encode(), UsesLeft.decode(self.USES)) == (self.USES, UsesLeft(uses=3))
