import json

import pytest

from tests.callers_schema import FILE, build_schema
from tests.third_party_clients.documented import PAGE, read_answers, replace_table


def test_the_published_schema_is_the_one_of_the_api() -> None:
    """If this fails, run `python -m tests.callers_schema`, which writes the file."""
    assert json.loads(FILE.read_text()) == build_schema()


def test_no_recorded_call_of_a_client_fails() -> None:
    """A recording of a failed run must not be committed."""
    answers = read_answers()

    assert len(answers) == 10
    for client, one in answers.items():
        assert len(one.calls) >= 8, client
        assert not [call for call, answer in one.calls if answer.startswith("fails")]


def test_the_page_counts_the_recorded_calls() -> None:
    """If this fails, run `make third-party-clients WRITE=1`, which writes recordings and page."""
    page = PAGE.read_text()

    assert page == replace_table(page, read_answers())


def test_a_page_without_the_table_is_rejected() -> None:
    """Otherwise the table could be missing, and no test would fail."""
    with pytest.raises(ValueError, match="0 tables"):
        replace_table("# Third-party clients\n", read_answers())
