"""Test how the app finds values that a frozen invocation has overwritten."""

from collections.abc import Mapping

from shared.domain.callers.caller_records import CallerEditIntent
from shared.domain.callers.unchanged_content import (
    UnchangedContentDigests,
    find_changed_digests,
    hash_surroundings,
    hash_texts,
)

URL = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/{}/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={}"
)


def build_intent(lease: int, sequence: int, around: Mapping[str, str]) -> CallerEditIntent:
    """Return an intent to change a caller, with digests of the values around the caller."""
    return CallerEditIntent(
        job_id="job",
        caller_id=f"caller-{sequence}",
        fencing_token=lease,
        sequence=sequence,
        edits="[]",
        is_first_edit=False,
        surrounding_digests=around,
    )


def test_value_from_before_the_later_invocation_is_reverted() -> None:
    first = {"changed": "1", "gone": "1", "again": "1", "same": "1"}
    later = {"changed": "2", "added": "2", "again": "2", "same": "1"}
    noted = UnchangedContentDigests.combine([build_intent(2, 0, later), build_intent(1, 0, first)])

    assert noted.find_reverted_addresses({**first, "again": "3"}, {}) == {
        "changed",
        "gone",
        "added",
    }
    assert noted.find_reverted_addresses(later, {}) == set()


def test_unrecorded_value_equals_the_last_recorded_value() -> None:
    """An intent stores only the digests that differ from those of the intent before it."""
    first = {"one": "1", "two": "1"}
    then = {"one": "2"}
    news = find_changed_digests(first, then)
    overtaken = [build_intent(1, 7, news), build_intent(1, 3, first)]
    noted = UnchangedContentDigests.combine(
        [*overtaken, build_intent(2, 8, {"one": "3", "two": "1"})]
    )

    assert news == {"one": "2", "two": ""}
    assert noted.find_reverted_addresses({"one": "2"}, {}) == {"one", "two"}


def test_value_that_was_read_after_its_revert_is_still_reverted() -> None:
    """A rollback may read the overwritten value and store its digest."""
    read = [
        build_intent(1, 0, {"one": "1"}),
        build_intent(2, 1, {"one": "2"}),
        build_intent(3, 2, {"one": "1"}),
    ]
    noted = UnchangedContentDigests.combine(read)

    assert noted.find_reverted_addresses({"one": "1"}, {}) == {"one"}
    assert noted.find_reverted_addresses({"one": "3"}, {}) == set()


def test_unread_version_counts_as_reverted() -> None:
    noted = UnchangedContentDigests.combine(
        [build_intent(1, 0, {"one": "1"}), build_intent(2, 1, {"one": "1"})]
    )

    assert noted.find_reverted_addresses({"one": "1"}, {"one": ["1", "2", "1"]}) == {"one"}
    assert noted.find_reverted_addresses({"one": "1"}, {"one": ["1", "1"]}) == set()
    assert noted.find_reverted_addresses({"one": "3"}, {"one": ["1", "2", "3"]}) == set()


def test_caller_that_an_invocation_did_not_write_is_not_missing() -> None:
    """A later invocation need not read a caller that it does not write."""
    noted = UnchangedContentDigests.combine(
        [build_intent(1, 0, {"caller-0": "1", "one": "1"}), build_intent(2, 1, {"x": "1"})]
    )

    assert noted.find_reverted_addresses({"caller-0": "1", "one": "1", "x": "1"}, {}) == {"one"}


def test_single_invocation_yields_no_reverted_addresses() -> None:
    """An invocation cannot have overwritten values that only it has read."""
    alone = UnchangedContentDigests.combine([build_intent(1, 0, {"one": "1"})])
    before = UnchangedContentDigests.combine([build_intent(1, 0, {}), build_intent(2, 1, {})])

    assert alone.find_reverted_addresses({"one": "2"}, {}) == set()
    assert before.find_reverted_addresses({"one": "2"}, {}) == set()


def test_digest_of_a_text_does_not_depend_on_its_trigger_urls() -> None:
    original, copy = URL.format("a" * 32, "abc"), URL.format("b" * 32, "def")

    def hash_text(text: str) -> str:
        return hash_surroundings("place", text, is_json=False)

    assert hash_text(f"pw=1;{original};") == hash_text(f"pw=1;{copy};")
    assert hash_text(f"pw=1;{original};") != hash_text(f"pw=2;{original};")
    assert hash_texts("one", "value") != hash_texts("two", "value")
