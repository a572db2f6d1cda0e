"""What works for third-party clients, where nobody has them: the recorded answers and the page."""

import pytest

from tests.third_party_clients.documented import PAGE, read_answers, replace_table


def test_no_recorded_call_of_a_client_fails() -> None:
    """A failed run may have written the recorded calls."""
    answers = read_answers()

    assert len(answers) == 10
    for client, one in answers.items():
        assert len(one.calls) >= 8, client
        assert not [call for call, answer in one.calls if answer.startswith("fails")]


def test_the_page_counts_the_recorded_calls() -> None:
    """`make third-party-clients WRITE=1` writes both."""
    page = PAGE.read_text()

    assert page == replace_table(page, read_answers())


def test_a_page_without_the_table_is_rejected() -> None:
    """Otherwise the table could be missing without a failing test."""
    with pytest.raises(ValueError, match="0 tables"):
        replace_table("# Third-party clients\n", read_answers())
