"""Text tables and suggestions."""

from __future__ import annotations

import doctest

import pytest

from respike import text


def test_the_example_is_what_is_returned() -> None:
    found = doctest.testmod(text)
    assert found.failed == 0 < found.attempted


def test_the_last_alignment_holds_for_all_further_columns() -> None:
    rows = [("a", "b", "c"), ("long", "1", "22"), ("x", "333", "")]
    assert text.table(rows, "<>") == ["a       b   c", "long    1  22", "x     333"]
    assert text.table(rows) == ["a     b    c", "long  1    22", "x     333"]
    assert text.table([]) == []
    with pytest.raises(ValueError, match="zip"):
        text.table([("a", "b"), ("a",)])


def test_near_names_are_suggested_and_far_ones_are_not() -> None:
    assert text.did_you_mean("mnist_cn", ["mnist_cnn", "mnist_mlp"]) == "; did you mean 'mnist_cnn'?"
    assert text.did_you_mean("quux", ["mnist_cnn"]) == ""
