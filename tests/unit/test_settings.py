from datetime import timedelta

import pytest
from pydantic import ValidationError

from shared.settings import Settings, SignInSettings, describe_invalid_settings, get_setting_name


@pytest.fixture(autouse=True)
def tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set `CMK_TENANT_ID`, the only required setting."""
    monkeypatch.setenv("CMK_TENANT_ID", "11111111-1111-4111-8111-111111111111")


@pytest.mark.parametrize("name", [one for one in Settings.model_fields if one != "tenant_id"])
@pytest.mark.parametrize("empty", ["", " "])
def test_empty_text_is_the_default(monkeypatch: pytest.MonkeyPatch, name: str, empty: str) -> None:
    """A setting that a person has emptied must not stop the app."""
    monkeypatch.setenv(get_setting_name(name), empty)

    assert getattr(Settings(), name) == Settings.model_fields[name].get_default()


def test_empty_tenant_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMK_TENANT_ID", "")

    with pytest.raises(ValidationError) as raised:
        Settings()

    assert describe_invalid_settings(raised.value) == {"CMK_TENANT_ID": "A value is required."}


def test_spaces_around_a_value_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pasted value may end with a line break."""
    monkeypatch.setenv("CMK_NO_CALL_PERIOD", " P14D\n")
    monkeypatch.setenv("CMK_STORAGE_ACCOUNT", "account\n")

    settings = Settings()

    assert settings.no_call_period == timedelta(days=14)
    assert settings.storage_account == "account"


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("github_repositories", "https://github.com/A/b, c/d, a/B,", ("A/b", "c/d")),
        ("azure_devops_organizations", "https://dev.azure.com/one/,ONE", ("one",)),
        ("sharepoint_sites", "https://a.sharepoint.com/s/, A.sharepoint.com/S", None),
        (
            "sharepoint_sites",
            "A.sharepoint.com/subscriptions/b",
            ("A.sharepoint.com/subscriptions/b",),
        ),
        ("subscription_ids", "AB, /subscriptions/ab, cd", ("AB", "cd")),
    ],
)
def test_list_names_each_place_once(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, values: tuple[str, ...] | None
) -> None:
    """The app would search a place twice if it were in the list twice."""
    monkeypatch.setenv(get_setting_name(name), text)

    assert getattr(Settings(), name) == (values or ("a.sharepoint.com/s",))


def test_fault_names_the_value_of_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors show no values, so the error gives the position of a wrong value in the list."""
    monkeypatch.setenv("CMK_ADDITIONAL_REQUIRED_TAGS", "LogicApps, wrong, LogicApps, bad")

    with pytest.raises(ValidationError) as raised:
        Settings()

    fault = describe_invalid_settings(raised.value)["CMK_ADDITIONAL_REQUIRED_TAGS"]
    assert "Value 2 of the list:" in fault
    assert "Value 4 of the list:" in fault
    assert "wrong" not in fault


@pytest.mark.parametrize(
    ("value", "limit"), [("-P1D", "at least 0 seconds"), ("P40000D", "at most 36500 days")]
)
def test_fault_names_the_limit_of_a_duration(
    monkeypatch: pytest.MonkeyPatch, value: str, limit: str
) -> None:
    monkeypatch.setenv("CMK_NO_CALL_PERIOD", value)

    with pytest.raises(ValidationError) as raised:
        Settings()

    assert describe_invalid_settings(raised.value) == {
        "CMK_NO_CALL_PERIOD": f"Use a duration of {limit}."
    }


def test_sign_in_is_known_despite_another_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only people who sign in may read which setting is wrong."""
    monkeypatch.setenv("CMK_FUNCTION_KEY_ROLES", "everybody")
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")

    assert SignInSettings().has_app_service_authentication
