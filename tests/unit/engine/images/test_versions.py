"""The order of versions is the one that dpkg has."""

import random
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.images.versions import sort_key

# Parts that meet each other in real versions, and single characters for the rest.
PARTS = st.sampled_from([*"0123456789", *"abzAZ", "~", "+", ".", "00", "10", "rc", "~~", "+b1"])
TEXTS = st.lists(PARTS, min_size=1, max_size=5).map("".join)
EPOCHS = st.sampled_from(["", "0:", "00:", "1:", "10:"])
UPSTREAM = st.tuples(st.integers(0, 20).map(str), st.just("") | TEXTS, st.just("") | TEXTS)
REVISIONS = st.just("") | TEXTS.map("-{}".format)


@st.composite
def versions(draw: st.DrawFn) -> str:
    """A hyphen may be in the upstream version too, if a revision follows."""
    number, first, second = draw(UPSTREAM)
    revision = draw(REVISIONS)
    hyphen = "-" if revision and draw(st.booleans()) else ""
    return f"{draw(EPOCHS)}{number}{first}{hyphen}{second}{revision}"


@settings(max_examples=300, deadline=None)
@given(versions(), versions())
@example("1.0", "1.0-0")
@example("1.0-0~", "1.0")
@example("1", "1.0~")
@example("0:1", "1")
def test_two_versions_compare_as_dpkg_compares_them(one: str, other: str) -> None:
    first, second = sort_key(one), sort_key(other)
    relation = "lt" if first < second else "gt" if first > second else "eq"
    compare = ["dpkg", "--compare-versions", one, relation, other]
    assert subprocess.run(compare, check=False).returncode == 0, " ".join(compare)


def test_the_versions_in_the_life_of_a_package_are_in_order() -> None:
    ordered = ["1.0~rc1-1", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-1+deb13u1", "1.0-1.1",
               "1.0+dfsg-1", "1.9-1", "1.10-1", "1:0.1-1"]  # fmt: skip
    mixed = random.Random(1).sample(ordered, len(ordered))
    assert sorted(mixed, key=sort_key) == ordered


@pytest.mark.parametrize("odd", ["", ":", "-", "x:1", "1" * 5000, "²", "1:2:3-4-5"])
def test_a_malformed_version_has_a_place_too(odd: str) -> None:
    assert (sort_key(odd) < sort_key("1")) or (sort_key("1") <= sort_key(odd))
