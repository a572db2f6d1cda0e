"""Test the paths of changed members, which show an administrator what somebody has edited."""

import json

from shared.domain.definitions.changed_paths import MOST_PLACES, find_changed_paths


def test_places_are_named_and_values_are_not() -> None:
    """The values may be secrets."""
    old = json.dumps({"a": {"uri": "https://x?sig=secret", "gone": 1}, "same": [1]})
    new = json.dumps({"a": {"uri": "https://y?sig=other"}, "same": [1], "new": 2})

    places = find_changed_paths(old, new)

    assert places == ("/a/gone", "/a/uri", "/new")


def test_a_long_list_is_cut() -> None:
    old, new = json.dumps({}), json.dumps({str(number): 1 for number in range(40)})

    places = find_changed_paths(old, new)

    assert len(places) == MOST_PLACES


def test_text_that_is_not_json_has_no_changed_paths() -> None:
    places = find_changed_paths("{", "{}")

    assert places == ()
