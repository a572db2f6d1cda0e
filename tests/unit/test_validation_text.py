import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ValidationError

from functions.endpoints import load_endpoint
from functions.environment_models import EnvironmentSettingsRequest
from functions.http_requests import RequestModel
from functions.routes import ROUTES
from shared.settings import Settings, describe_invalid_settings
from shared.validation_text import TextPattern, list_validation_errors

MODELS = sorted(
    {
        model
        for handler in ROUTES.values()
        for model in (load_endpoint(handler).body, load_endpoint(handler).query)
    },
    key=lambda one: one.__name__,
)
WRONG: tuple[Any, ...] = (
    "?! ^",
    "",
    "x" * 600_000,
    "2030-02-31",
    -1,
    10**9,
    1.5,
    True,
    None,
    [],
    ["?! ^"] * 1001,
    [5],
    [None],
    [{}],
    [{"?! ^": 1}],
    {},
    {"?! ^": "?! ^"},
    {"": ""},
)
#: Words and signs that only the library's own error texts contain.
OF_CODE = re.compile(
    r"Input should|Value error|Field required|Extra inputs|should (match|have)|instance of|"
    r"tuple|frozen|timedelta|dictionary|iterable|\{|\}|[\[^\\]|[a-z]_[a-z]+_parsing|[A-Z][a-z]+[A-Z]"
)
#: Words in capitals that the field uses.
KNOWN = re.compile(r"KeyVault|resourceGroups|LogicApps|PowerPlatformInfra")


def list_texts(read: Callable[[], object]) -> list[str]:
    try:
        read()
    except ValidationError as err:
        return [text for _, text in list_validation_errors(err)]
    return []


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one.__name__)
def test_errors_of_requests_are_plain_words(model: type[RequestModel]) -> None:
    """Each member of each request is tried with many values of wrong types and forms."""
    texts = set(list_texts(lambda: model.model_validate_json('{"?! ^": 1}', strict=True)))
    texts |= set(list_texts(lambda: model.model_validate_json("[]", strict=True)))
    texts |= set(list_texts(lambda: model.model_validate_json("{", strict=True)))
    for name, field in model.model_fields.items():
        for value in WRONG:
            body = json.dumps({field.alias or name: value})
            texts |= set(list_texts(lambda body=body: model.model_validate_json(body, strict=True)))  # type: ignore[misc]

    assert len(texts) >= 3
    wrong = [one for one in texts if OF_CODE.search(KNOWN.sub("", one)) or not one.endswith(".")]
    assert wrong == []


def test_wrong_firewall_is_named_with_an_example() -> None:
    body = {"writable_firewalls": ["/subscriptions/a/resourceGroups/b/c", "kv-shop"]}
    with pytest.raises(ValidationError) as raised:
        EnvironmentSettingsRequest.model_validate_json(json.dumps(body), strict=True)

    [(path, text)] = list_validation_errors(raised.value)

    assert path == ("writable_firewalls", 1)
    assert "such as /subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/" in text


def test_errors_of_settings_are_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting that is not free text is tried with an invalid value."""
    for name, field in Settings.model_fields.items():
        if field.annotation is not str or field.metadata:
            setting = field.validation_alias or f"CMK_{name.upper()}"
            monkeypatch.setenv(str(setting), "?! ^")
    monkeypatch.delenv("CMK_TENANT_ID", raising=False)

    with pytest.raises(ValidationError) as raised:
        Settings()
    faults = describe_invalid_settings(raised.value)

    assert faults["CMK_TENANT_ID"] == "A value is required."
    assert faults["CMK_NO_CALL_PERIOD"].startswith("Use a duration")
    assert "https://NAME.vault.azure.net" in faults["CMK_TRIGGER_URL_VAULT"]
    assert len(faults) > 30
    assert [one for one in faults.values() if OF_CODE.search(KNOWN.sub("", one))] == []


def test_pattern_is_in_the_schema_and_holds_for_the_whole_text() -> None:
    """Clients find the regular expression in the schema."""

    class Model(BaseModel):
        name: Annotated[str, TextPattern(r"^[a-z]+$", "Use letters, such as abc.")]
        age: timedelta = timedelta(0)

    assert Model.model_json_schema()["properties"]["name"]["pattern"] == "^[a-z]+$"
    assert Model(name="abc").name == "abc"
    for text in ("abc\n", "", "a b"):
        assert list_texts(lambda text=text: Model(name=text)) == ["Use letters, such as abc."]  # type: ignore[misc]
