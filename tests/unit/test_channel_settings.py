import base64

import pytest

from shared.domain.plans.channel_settings import (
    SHORTEST_KEY,
    format_channel_setting_names,
    require_usable_address,
    require_usable_signing_key,
)
from shared.errors import UnusableSetting

REFERENCE = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/canary/)"


def build_signing_key(length: int) -> str:
    return "whsec_" + base64.b64encode(b"\x07" * length).decode()


@pytest.mark.parametrize(
    "value",
    [
        REFERENCE,
        f" {REFERENCE.upper()}",
        "",
        "canary",
        "//canary.example/x",
        "ftp://canary.example/x",
        "http://canary.example/x",
        "file:///canary",
        "javascript:canary",
        "https://",
        "https:///canary",
        "https://canary example/x",
        "https://[::1canary",
        "https://canary.example:99999/",
        "https://user:canary@h.example/",
        "https://canary.example/\n",
        "https://canary.example/ü",
    ],
)
def test_unusable_address_raises_an_error_that_names_its_setting(value: str) -> None:
    """The error does not contain the value, which may be a secret."""
    with pytest.raises(UnusableSetting) as caught:
        require_usable_address("CMK_TEAMS_WEBHOOK", value)

    assert caught.value.reason.startswith("CMK_TEAMS_WEBHOOK is ")
    assert caught.value.fix.endswith(".")
    assert "canary" not in f"{caught.value.reason} {caught.value.fix}".lower()


@pytest.mark.parametrize(
    "value", ["https://h.example", "https://h.example:8443/in?a=b", "HTTPS://H.example/x"]
)
def test_https_address_is_used_unchanged(value: str) -> None:
    """The path, port and query of the address belong to the receiver."""
    assert require_usable_address("CMK_WEBHOOK", value) == value


@pytest.mark.parametrize(
    "value",
    [
        "https://t.westeurope-1.eventgrid.azure.net.evil.example/api/events",
        "https://evileventgrid.azure.net/api/events",
        "https://h.example/t.eventgrid.azure.net",
    ],
)
def test_topic_outside_the_event_grid_domain_is_rejected(value: str) -> None:
    """Requests to the topic contain the app's access token."""
    topic = "https://t.westeurope-1.eventgrid.azure.net/api/events"
    assert (
        require_usable_address("CMK_EVENT_GRID_TOPIC", topic, domain="eventgrid.azure.net") == topic
    )

    with pytest.raises(UnusableSetting, match="eventgrid"):
        require_usable_address("CMK_EVENT_GRID_TOPIC", value, domain="eventgrid.azure.net")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "whsec_",
        "x",
        "whsec_!!!",
        "ümlaut",
        "AAAA",
        REFERENCE,
        build_signing_key(SHORTEST_KEY - 1),
    ],
)
def test_weak_signing_key_is_rejected(value: str) -> None:
    with pytest.raises(UnusableSetting) as caught:
        require_usable_signing_key("CMK_WEBHOOK_SECRET", value)

    assert caught.value.reason.startswith("CMK_WEBHOOK_SECRET is ")
    assert "canary" not in caught.value.reason
    assert "24" in caught.value.fix or "Key Vault" in caught.value.fix


def test_a_signing_key_of_24_bytes_is_used() -> None:
    assert (
        len(require_usable_signing_key("CMK_WEBHOOK_SECRET", build_signing_key(SHORTEST_KEY)))
        == SHORTEST_KEY
    )
    assert (
        require_usable_signing_key(
            "CMK_WEBHOOK_SECRET", build_signing_key(32).removeprefix("whsec_")
        )
        == b"\x07" * 32
    )


def test_the_settings_of_a_channel_are_named() -> None:
    assert format_channel_setting_names("webhook") == "CMK_WEBHOOK and CMK_WEBHOOK_SECRET"
    assert format_channel_setting_names("log") == ""
