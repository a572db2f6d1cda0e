import json
from typing import Any

import pytest

from shared.domain.definitions.connection_reference import (
    build_logical_name,
    parse_embedded_connections,
    with_connection_references,
)


def build_client_data(**references: Any) -> str:
    definition = {"triggers": {"manual": {"type": "Request"}}, "actions": {}}
    properties = {"connectionReferences": references, "definition": definition}
    return json.dumps({"properties": properties, "schemaVersion": "1.0.0.0"}, indent=2)


def build_entry(source: str = "embedded", **connection: str) -> dict[str, Any]:
    """Return an entry of `connectionReferences` in the format of Dataverse. See
    platform.md#client-data.
    """
    return {
        "runtimeSource": source,
        "connection": connection,
        "api": {"name": "shared_office365"},
        "impersonation": {},
    }


def test_entry_with_a_connection_reference_is_not_embedded() -> None:
    text = build_client_data(
        mail=build_entry(connectionReferenceLogicalName="cr1_mail"),
        both=build_entry(connectionReferenceLogicalName="cr1_mail", name="mail-1"),
        invoker=build_entry("invoker", connectionReferenceLogicalName="cr1_mail"),
    )

    assert parse_embedded_connections(text) == ()


def test_entry_with_only_a_connection_is_embedded() -> None:
    (found,) = parse_embedded_connections(build_client_data(mail=build_entry(name="mail-1")))

    assert (found.key, found.connector, found.connection_id) == (
        "mail",
        "shared_office365",
        "mail-1",
    )
    assert found.connector_id == "/providers/Microsoft.PowerApps/apis/shared_office365"
    assert not found.is_custom


def test_embedded_entry_in_the_flow_service_format_is_parsed() -> None:
    """See platform.md#flow-read."""
    api = "/providers/Microsoft.PowerApps/apis/shared_office365"
    (found,) = parse_embedded_connections(
        build_client_data(mail={"connectionName": "mail-1", "source": "Embedded", "id": api})
    )

    assert (found.connector, found.connection_id) == ("shared_office365", "mail-1")


def test_connection_of_an_invoker_entry_is_not_copied() -> None:
    """Each user of the flow has a connection of their own."""
    (found,) = parse_embedded_connections(
        build_client_data(mail=build_entry("invoker", name="mail-1"))
    )

    assert found.connection_id == ""
    assert found.label == "of the user who runs the flow (shared_office365)"


def test_entry_without_a_connection_is_not_embedded() -> None:
    """In old solutions, an entry may have neither a connection nor a reference. The app creates no
    reference for it.
    """
    assert parse_embedded_connections(build_client_data(mail=build_entry())) == ()


@pytest.mark.parametrize(
    "api",
    [
        {"name": "shared_orders-5f7fc9343cf45734fe", "logicalName": "admin_5Forders"},
        {"name": "shared_cat-5forders-5f21dec655d73f3a8c"},
        {"name": "shared_orders-20demo-5feca8e1ea20c64f-2de1df1a592ec41e"},
    ],
)
def test_custom_connector_is_recognised_by_its_logical_name_or_id(api: dict[str, str]) -> None:
    (found,) = parse_embedded_connections(
        build_client_data(orders=build_entry(name="orders-1") | {"api": api})
    )

    assert found.is_custom


def test_only_the_connection_of_an_entry_changes() -> None:
    text = build_client_data(mail=build_entry(name="mail-1"), other=build_entry(name="other-1"))

    changed = json.loads(with_connection_references(text, {"mail": "cmk_mail"}))

    expected = json.loads(text)
    expected["properties"]["connectionReferences"]["mail"]["connection"] = {
        "connectionReferenceLogicalName": "cmk_mail"
    }
    assert changed == expected


def test_without_embedded_connections_not_a_byte_changes() -> None:
    text = build_client_data(mail=build_entry(connectionReferenceLogicalName="cr1_mail"))

    assert with_connection_references(text, {}) is text


def test_a_byte_order_mark_is_no_part_of_the_definition() -> None:
    """A definition that was imported from a file may begin with a byte order mark."""
    text = "\ufeff" + build_client_data(mail=build_entry(name="mail-1"))

    assert len(parse_embedded_connections(text)) == 1
    assert parse_embedded_connections(with_connection_references(text, {"mail": "cmk_mail"})) == ()


def test_logical_name_has_only_characters_that_dataverse_accepts() -> None:
    (found,) = parse_embedded_connections(
        build_client_data(
            x=build_entry(name="x-1") | {"api": {"name": "shared_Déjà-5f" + "9" * 300}}
        )
    )

    name = build_logical_name(found, "0123abcd-0123-4567-89ab-0123456789ab")

    assert name.startswith("cmk_shareddj5f9")
    assert name.endswith("_0123abcd0123")
    assert len(name) < 100
