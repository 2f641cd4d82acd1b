"""Owners of shared files for containers with a user namespace."""

import pytest

from vm.host.remapped_ids import COUNT, in_guest, on_host

OFFSET = 1_000_000


@pytest.mark.parametrize("owner", [0, 1000, COUNT - 1])
def test_an_id_is_the_same_after_both_ways(owner: int) -> None:
    assert in_guest(owner, OFFSET) == OFFSET + owner
    assert on_host(OFFSET + owner, OFFSET) == owner


@pytest.mark.parametrize("owner", [COUNT, 2_000_000_000])
def test_an_owner_that_a_container_cannot_have_is_its_root(owner: int) -> None:
    assert in_guest(owner, OFFSET) == OFFSET


@pytest.mark.parametrize("owner", [0, 1000, OFFSET - 1, OFFSET + COUNT])
def test_an_id_of_the_guest_itself_stays(owner: int) -> None:
    assert on_host(owner, OFFSET) == owner


@pytest.mark.parametrize("owner", [0, 1000, COUNT, 2_000_000_000])
def test_without_an_offset_no_id_changes(owner: int) -> None:
    assert in_guest(owner, 0) == on_host(owner, 0) == owner
