"""Which connections of a definition need a connection reference, and how a copy names it."""

import json
from typing import Any

import pytest

from shared.domain.definitions.connection_reference import (
    logical_name,
    parse_embedded_connections,
    with_references,
)


def client_data(**references: Any) -> str:
    """Return a `clientdata` with these connection references."""
    definition = {"triggers": {"manual": {"type": "Request"}}, "actions": {}}
    properties = {"connectionReferences": references, "definition": definition}
    return json.dumps({"properties": properties, "schemaVersion": "1.0.0.0"}, indent=2)


def entry(source: str = "embedded", **connection: str) -> dict[str, Any]:
    """Return an entry of `connectionReferences` as Dataverse holds it (platform.md#client-data)."""
    return {
        "runtimeSource": source,
        "connection": connection,
        "api": {"name": "shared_office365"},
        "impersonation": {},
    }


def test_an_entry_with_a_connection_reference_needs_none() -> None:
    """The entry may also name a connection, or belong to an invoker's connection."""
    text = client_data(
        mail=entry(connectionReferenceLogicalName="cr1_mail"),
        both=entry(connectionReferenceLogicalName="cr1_mail", name="mail-1"),
        invoker=entry("invoker", connectionReferenceLogicalName="cr1_mail"),
    )

    assert parse_embedded_connections(text) == ()


def test_an_entry_that_names_only_a_connection_embeds_it() -> None:
    """The result has its key, connector and connection."""
    (found,) = parse_embedded_connections(client_data(mail=entry(name="mail-1")))

    assert (found.key, found.connector, found.connection_id) == (
        "mail",
        "shared_office365",
        "mail-1",
    )
    assert found.connector_id == "/providers/Microsoft.PowerApps/apis/shared_office365"
    assert not found.is_custom


def test_an_entry_as_the_flow_service_writes_it_is_understood() -> None:
    """`connectionName`, `source` and `id` are at its top level (platform.md#flow-read)."""
    api = "/providers/Microsoft.PowerApps/apis/shared_office365"
    (found,) = parse_embedded_connections(
        client_data(mail={"connectionName": "mail-1", "source": "Embedded", "id": api})
    )

    assert (found.connector, found.connection_id) == ("shared_office365", "mail-1")


def test_the_connection_of_whoever_runs_the_flow_is_not_taken_over() -> None:
    """The reference of an invoker's entry has no connection."""
    (found,) = parse_embedded_connections(client_data(mail=entry("invoker", name="mail-1")))

    assert found.connection_id == ""
    assert found.label == "of the user who runs the flow (shared_office365)"


def test_an_entry_that_names_nothing_has_nothing_to_bind() -> None:
    """Old solutions contain 180 such entries."""
    assert parse_embedded_connections(client_data(mail=entry())) == ()


@pytest.mark.parametrize(
    "api",
    [
        {"name": "shared_orders-5f7fc9343cf45734fe", "logicalName": "admin_5Forders"},
        {"name": "shared_cat-5forders-5f21dec655d73f3a8c"},
        {"name": "shared_orders-20demo-5feca8e1ea20c64f-2de1df1a592ec41e"},
    ],
)
def test_a_custom_connector_is_told_by_its_logical_name_or_its_own_id(api: dict[str, str]) -> None:
    """Public solutions contain both shapes."""
    (found,) = parse_embedded_connections(client_data(orders=entry(name="orders-1") | {"api": api}))

    assert found.is_custom


def test_only_the_connection_of_an_entry_changes() -> None:
    """Source, connector and all other parts of the flow stay."""
    text = client_data(mail=entry(name="mail-1"), other=entry(name="other-1"))

    changed = json.loads(with_references(text, {"mail": "cmk_mail"}))

    expected = json.loads(text)
    expected["properties"]["connectionReferences"]["mail"]["connection"] = {
        "connectionReferenceLogicalName": "cmk_mail"
    }
    assert changed == expected


def test_without_embedded_connections_not_a_byte_changes() -> None:
    """A definition that uses references is copied unchanged."""
    text = client_data(mail=entry(connectionReferenceLogicalName="cr1_mail"))

    assert with_references(text, {}) is text


def test_a_byte_order_mark_is_no_part_of_the_definition() -> None:
    """A definition that was imported from a file may begin with such a mark."""
    text = "\ufeff" + client_data(mail=entry(name="mail-1"))

    assert len(parse_embedded_connections(text)) == 1
    assert parse_embedded_connections(with_references(text, {"mail": "cmk_mail"})) == ()


def test_a_logical_name_is_one_that_dataverse_takes() -> None:
    """It has a prefix, lower-case letters and digits, and 100 characters at most."""
    (found,) = parse_embedded_connections(
        client_data(x=entry(name="x-1") | {"api": {"name": "shared_Déjà-5f" + "9" * 300}})
    )

    name = logical_name(found, "0123abcd-0123-4567-89ab-0123456789ab")

    assert name.startswith("cmk_shareddj5f9")
    assert name.endswith("_0123abcd0123")
    assert len(name) < 100
