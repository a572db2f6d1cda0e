import pytest

from shared.html_pages import format_commands, replace_ids_by_names

GROUP = "/subscriptions/3b7c2d5e-90aa-4a31-8f0e-5f6f2f1f7c01/resourcegroups/rg/providers/x/y"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            f"Denied by: network_security_group:{GROUP}/nsg-erp, azure_firewall:{GROUP}/afw-edge",
            "Denied by: nsg-erp, afw-edge",
        ),
        (f"Open {GROUP}/kv.", "Open kv."),
        ("A / B, and /subscriptions of a shop", "A / B, and /subscriptions of a shop"),
    ],
)
def test_resource_ids_are_replaced_by_their_names(text: str, shown: str) -> None:
    assert replace_ids_by_names(text) == shown


def test_commands_between_backticks_are_code_and_everything_is_escaped() -> None:
    text = "Ignore it (`cmkflow <b>`), or `not & this"

    assert str(format_commands(text)) == (
        "Ignore it (<code>cmkflow &lt;b&gt;</code>), or `not &amp; this"
    )
