import pytest

from shared.domain.display_names import (
    LIMIT,
    build_copy_name,
    build_retired_name,
    shorten_with_suffix,
)

FAMILY = "👩‍👩‍👧"
FLAG = "🇳🇱"
THUMB = "👍🏽"
ACCENT = "e\u0301"


def count_utf16_units(text: str) -> int:
    """Return the length in UTF-16 code units. Dataverse limits their number."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def test_name_within_the_limit_is_not_cut() -> None:
    assert build_copy_name("Orders") == "Orders (CMK)"
    assert build_retired_name("Orders") == "Orders (retired, MMK)"
    assert shorten_with_suffix("x" * LIMIT) == "x" * LIMIT


@pytest.mark.parametrize("length", [86, 95, 100, 101, 174, 255])
def test_a_long_name_keeps_its_suffix_within_the_limit(length: int) -> None:
    """The suffix identifies the flow."""
    title = "".join(chr(ord("a") + place % 26) for place in range(length))

    for name, suffix in (
        (build_copy_name(title), " (CMK)"),
        (shorten_with_suffix(title), ""),
    ):
        assert count_utf16_units(name) <= LIMIT
        assert name.endswith(suffix)
        assert name.removesuffix(suffix).removesuffix("…") == title[
            : len(name) - len(suffix) - 1
        ] or (name == title + suffix)


def test_name_of_a_retired_original_can_be_restored() -> None:
    """A rollback could not restore a longer name."""
    fits, does_not_fit = "x" * LIMIT, "x" * (LIMIT + 1)

    assert count_utf16_units(build_retired_name(fits)) == LIMIT
    assert build_retired_name(fits).endswith("… (retired, MMK)")
    assert build_retired_name(does_not_fit) == does_not_fit


@pytest.mark.parametrize("character", [FAMILY, FLAG, THUMB, ACCENT, "😀", "ש\u200f", "ع\u0650"])
@pytest.mark.parametrize("before", range(12))
def test_no_character_is_cut_in_two(character: str, before: int) -> None:
    """Flags, combined emoji and letters with accents are cut as a whole."""
    title = "x" * before + character * LIMIT

    kept = build_copy_name(title).removesuffix("… (CMK)").removeprefix("x" * before)

    assert kept
    assert kept == character * (len(kept) // len(character))


def test_name_is_cut_exactly_at_the_limit() -> None:
    assert count_utf16_units(build_copy_name("x" * 255)) == LIMIT
    assert count_utf16_units(build_copy_name("😀" * 255)) in {LIMIT - 1, LIMIT}


def test_name_of_lone_surrogates_or_accents_is_cut_to_the_limit() -> None:
    assert count_utf16_units(build_copy_name("\ud83d" * 255)) <= LIMIT
    assert build_copy_name("\u200f" * 255) == "… (CMK)"
