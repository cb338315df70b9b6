"""Output on terminals that cannot show every character."""

import io
import sys

import pytest

from cnn_ablation.adapters.terminal import never_fail_to_print


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "91.2 +- 0.3 ... x?.png ?"),
        ("latin-1", "91.2 ± 0.3 ... xé.png ?"),
        ("utf-8", "91.2 ± 0.3 … xé.png ?"),
    ],
)
def test_characters_that_cannot_be_shown_are_replaced(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    never_fail_to_print()
    print("91.2 ± 0.3 … xé.png \udcff", end="", flush=True)
    assert stream.buffer.getvalue().decode(encoding) == shown
