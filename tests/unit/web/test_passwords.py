"""What is kept of a password, and what it costs to try one."""

import pytest
from argon2 import Parameters, Type, extract_parameters

from annotator.errors import AccountError
from annotator.web.passwords import LONGEST, SHORTEST, hash_password, is_password
from tests.web_client import QUICK_HASHER

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody


def test_a_hash_costs_what_rfc_9106_recommends_where_memory_is_scarce() -> None:
    assert extract_parameters(hash_password(PASSWORD)) == Parameters(
        type=Type.ID, version=19, salt_len=16, hash_len=32, time_cost=3, memory_cost=65_536, parallelism=4
    )


def test_a_password_is_known_again_and_no_other_is() -> None:
    kept = hash_password(PASSWORD)
    assert PASSWORD not in kept
    assert is_password(kept, PASSWORD)
    assert not is_password(kept, f"{PASSWORD} ")
    assert not is_password("no hash", PASSWORD)


def test_nobody_has_the_password_of_an_account_that_does_not_exist() -> None:
    assert not is_password(None, PASSWORD)


def test_hashes_of_other_parameters_stay_good() -> None:
    kept = QUICK_HASHER.hash(PASSWORD)
    assert is_password(kept, PASSWORD)
    assert not is_password(kept, PASSWORD.upper())


@pytest.mark.parametrize("length", [SHORTEST - 1, LONGEST + 1])
def test_a_password_is_neither_short_nor_endless(length: int) -> None:
    with pytest.raises(AccountError, match=f"this one has {length}"):
        hash_password("x" * length)
