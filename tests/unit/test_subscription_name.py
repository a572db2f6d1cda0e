import json

from shared.domain.definitions.subscription_name import with_own_subscription

OLD, NEW = "5a5d4547-81dd-ee11-904c-002248ec1439", "6a5d4547-81dd-ee11-904c-002248ec1439"


def test_only_the_value_of_the_name_changes() -> None:
    """Elsewhere in the definition, the same text stays."""
    text = json.dumps(
        {
            "a": {"subscriptionRequest/name": OLD.upper(), "x": f"{OLD} é"},
            "b": {"subscriptionRequest/name": "pmo_Upload", "subscriptionRequest/filter": OLD},
        },
        indent=3,
    )

    changed = with_own_subscription(text, {OLD}, NEW)

    assert changed == text.replace(OLD.upper(), NEW)
    assert with_own_subscription("{}", {OLD}, NEW) == "{}"
