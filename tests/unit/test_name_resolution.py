import pytest

from shared.domain.name_lookup import (
    NamedItem,
    find_items_by_id_or_name,
    find_similar_items,
    format_suggestion,
    shorten_ids,
)

ORDERS = NamedItem(id="8c2e3f7a-0000-4000-8000-000000000001", name="Orders", others=("F10W-1",))
RETURNS = NamedItem(id="8c2e9999-0000-4000-8000-000000000002", name="Returns")
FAKE = NamedItem(id="77770000-0000-4000-8000-000000000003", name="orders ")
FLOWS = (ORDERS, RETURNS, FAKE)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ORDERS.id.upper(), [ORDERS]),
        ("f10w-1", [ORDERS]),
        ("returns", [RETURNS]),
        ("Orders", [ORDERS]),
        ("orders", [FAKE]),
        ("ORDERS", [ORDERS, FAKE]),
        ("8c2e3", [ORDERS]),
        ("8c2e", [ORDERS, RETURNS]),
        ("8c2", []),
        ("Order", []),
        ("", []),
    ],
)
def test_find_by_id_or_name_prefers_id_then_name_then_id_prefix(
    wanted: str, found: list[NamedItem]
) -> None:
    """A part of a name matches nothing: an item that is added later may have it as its name."""
    assert find_items_by_id_or_name(wanted, FLOWS) == found


def test_name_that_looks_like_a_short_id_matches_the_name() -> None:
    odd = NamedItem(id="1111", name="8c2e3f7a")

    assert find_items_by_id_or_name("8c2e3f7a", [*FLOWS, odd]) == [odd]


def test_find_similar_returns_the_closest_item_first() -> None:
    assert find_similar_items("Retruns", FLOWS)[0] == RETURNS
    assert find_similar_items(ORDERS.id[:-1] + "2", FLOWS)[0] == ORDERS
    assert find_similar_items("nothing like these", FLOWS) == []
    assert format_suggestion([RETURNS]) == f"Did you mean Returns ({RETURNS.id})?"
    assert format_suggestion([]) == ""


def test_short_ids_are_as_long_as_needed() -> None:
    shown = shorten_ids(one.id for one in FLOWS)
    alike = shorten_ids(f"e0000000-0000-4000-8000-00000000000{number}" for number in range(3))

    assert shown[ORDERS.id] == "8c2e3f7a"
    assert all(
        find_items_by_id_or_name(short, FLOWS) == [one] for one in FLOWS if (short := shown[one.id])
    )
    assert len(set(alike.values())) == 3
