"""What a delivery that was overtaken has put back, by the digests that each one noted."""

from collections.abc import Mapping

from shared.domain.callers.caller_records import CallerEditIntent
from shared.domain.callers.unchanged_content import (
    UnchangedContentDigests,
    changed_digests,
    surrounding_digest,
    value_digest,
)

URL = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/{}/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={}"
)


def intent(lease: int, sequence: int, around: Mapping[str, str]) -> CallerEditIntent:
    """Return an intent of one delivery."""
    return CallerEditIntent(
        job_id="job",
        caller_id=f"caller-{sequence}",
        fencing_token=lease,
        sequence=sequence,
        edits="[]",
        is_first_edit=False,
        surrounding_digests=around,
    )


def test_what_reads_as_before_the_later_delivery_was_put_back() -> None:
    """Changed, added and taken away; not what somebody has changed once more."""
    first = {"changed": "1", "gone": "1", "again": "1", "same": "1"}
    later = {"changed": "2", "added": "2", "again": "2", "same": "1"}
    noted = UnchangedContentDigests.at([intent(2, 0, later), intent(1, 0, first)])

    assert noted.find_reverted_addresses({**first, "again": "3"}, {}) == {
        "changed",
        "gone",
        "added",
    }
    assert noted.find_reverted_addresses(later, {}) == set()


def test_what_a_delivery_did_not_note_again_is_as_it_noted_it() -> None:
    """Intents hold changes only, in the order of the job and not of its callers."""
    first = {"one": "1", "two": "1"}
    then = {"one": "2"}
    news = changed_digests(first, then)
    overtaken = [intent(1, 7, news), intent(1, 3, first)]
    noted = UnchangedContentDigests.at([*overtaken, intent(2, 8, {"one": "3", "two": "1"})])

    assert news == {"one": "2", "two": ""}
    assert noted.find_reverted_addresses({"one": "2"}, {}) == {"one", "two"}


def test_what_a_delivery_read_after_it_was_put_back_was_put_back_all_the_same() -> None:
    """A rollback that comes after the frozen delivery woke reads what that one wrote."""
    read = [intent(1, 0, {"one": "1"}), intent(2, 1, {"one": "2"}), intent(3, 2, {"one": "1"})]
    noted = UnchangedContentDigests.at(read)

    assert noted.find_reverted_addresses({"one": "1"}, {}) == {"one"}
    assert noted.find_reverted_addresses({"one": "3"}, {}) == set()


def test_a_version_that_no_delivery_has_read_was_replaced() -> None:
    """If what stands there now is not somebody else's: they may have read it."""
    noted = UnchangedContentDigests.at([intent(1, 0, {"one": "1"}), intent(2, 1, {"one": "1"})])

    assert noted.find_reverted_addresses({"one": "1"}, {"one": ["1", "2", "1"]}) == {"one"}
    assert noted.find_reverted_addresses({"one": "1"}, {"one": ["1", "1"]}) == set()
    assert noted.find_reverted_addresses({"one": "3"}, {"one": ["1", "2", "3"]}) == set()


def test_a_caller_that_a_delivery_did_not_write_is_not_gone() -> None:
    """An address that it did not read is."""
    noted = UnchangedContentDigests.at(
        [intent(1, 0, {"caller-0": "1", "one": "1"}), intent(2, 1, {"x": "1"})]
    )

    assert noted.find_reverted_addresses({"caller-0": "1", "one": "1", "x": "1"}, {}) == {"one"}


def test_nothing_is_known_of_a_delivery_that_nobody_overtook() -> None:
    """Nor of rows from before anything was noted."""
    alone = UnchangedContentDigests.at([intent(1, 0, {"one": "1"})])
    before = UnchangedContentDigests.at([intent(1, 0, {}), intent(2, 1, {})])

    assert alone.find_reverted_addresses({"one": "2"}, {}) == set()
    assert before.find_reverted_addresses({"one": "2"}, {}) == set()


def test_a_text_without_its_urls_is_the_same_wherever_they_lead() -> None:
    """What stands beside them is not; and no two places have one digest."""
    original, copy = URL.format("a" * 32, "abc"), URL.format("b" * 32, "def")

    def of(text: str) -> str:
        return surrounding_digest("place", text, is_json=False)

    assert of(f"pw=1;{original};") == of(f"pw=1;{copy};")
    assert of(f"pw=1;{original};") != of(f"pw=2;{original};")
    assert value_digest("one", "value") != value_digest("two", "value")
