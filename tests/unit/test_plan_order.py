from shared.domain.plans.display_text import build_plan_sort_key


def test_changed_flows_are_first_then_flows_that_need_changes_then_by_title() -> None:
    shown = [
        ("Zebra", "no_change", ("it was edited",)),
        ("beta", "needs_changes", ()),
        ("Alpha", "of_a_newer_app", ()),
        ("alpha", "copy", ()),
        ("Beta", "copy", ()),
        ("Alpha", "no_change", ()),
    ]

    for items in (shown, shown[::-1]):
        places = sorted(
            items, key=lambda one: build_plan_sort_key(changed=one[2], action=one[1], title=one[0])
        )
        assert places[0] == shown[0]
        assert places[1] == shown[1]
        assert {one[1] for one in places[2:5]} == {"of_a_newer_app", "copy"}
        assert places[-1] == shown[-1]
