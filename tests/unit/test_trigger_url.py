import json
from urllib.parse import quote

import pytest

from shared.domain.trigger_urls.replacement import replace_in_json, replace_trigger_urls
from shared.domain.trigger_urls.signatures import (
    SignatureChanged,
    find_signatures,
    hash_signature,
    mask_signatures,
    unmask_signatures,
)
from shared.domain.trigger_urls.trigger_url import (
    TriggerUrlFormat,
    find_trigger_urls,
    parse_trigger_url,
    redact,
)

OLD_ID = "a16d54f586e52346f4beb14221f84c30"
NEW_ID = "079a38b98d82802754d5362677d52280"
OLD_SIG = "o" * 43
NEW_SIG = "n" * 43
SIGNED = "sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig="
OLD_HEAD = (
    f"https://prod-65.westus.logic.azure.com:443/workflows/{OLD_ID}/triggers/manual/paths/invoke"
)
OLD = f"{OLD_HEAD}?api-version=2016-06-01&{SIGNED}{OLD_SIG}"
NEW_HEAD = (
    "https://ac0f.01.environment.api.powerplatform.com/powerautomate/automations/direct/cu/24"
    f"/workflows/{NEW_ID}/triggers/manual/paths/invoke"
)
NEW = f"{NEW_HEAD}?api-version=1&{SIGNED}{NEW_SIG}"
TO_NEW = {OLD_ID: NEW}


@pytest.mark.parametrize(
    ("host", "is_retired"),
    [
        ("prod-07.westeurope.logic.azure.com:443", True),
        ("prod-07.usgovvirginia.logic.azure.us", False),
        ("prod-07.chinaeast2.logic.azure.cn", False),
        ("a.01.environment.api.powerplatform.com", False),
    ],
)
def test_retired_host_is_recognised(host: str, is_retired: bool) -> None:
    """See platform.md#retired-hosts."""
    url = parse_trigger_url(f"https://{host}/workflows/{'a' * 32}/triggers/manual/paths/invoke?a=1")

    assert url is not None
    assert url.is_retired is is_retired


def test_trigger_url_is_parsed() -> None:
    url = parse_trigger_url(OLD)

    assert url is not None
    assert (url.host, url.trigger_url_id, url.trigger, url.form) == (
        "prod-65.westus.logic.azure.com",
        OLD_ID,
        "manual",
        TriggerUrlFormat.CLASSIC,
    )
    assert url.signature_hash == hash_signature(OLD_SIG)


@pytest.mark.parametrize(
    ("url", "form"),
    [
        (OLD, TriggerUrlFormat.CLASSIC),
        (NEW.replace("/cu/24", ""), TriggerUrlFormat.ENVIRONMENT),
        (NEW, TriggerUrlFormat.ENVIRONMENT_UNIT),
        (OLD.replace("prod-65.westus.logic.azure.com", "x.new.example"), TriggerUrlFormat.OTHER),
    ],
)
def test_the_form_follows_from_host_and_path(url: str, form: TriggerUrlFormat) -> None:
    found = parse_trigger_url(url)

    assert found is not None
    assert found.form is form


@pytest.mark.parametrize(
    "text",
    [
        f"https://x.logic.azure.com/workflows/{OLD_ID}/runs/0858/contents/TriggerInputs?sig=abc",
        f"https://x.logic.azure.com/workflows/{OLD_ID}/triggers/manual/runs?api-version=1",
        f"https://x.logic.azure.com/workflows/{OLD_ID[:-1]}/triggers/manual/run?api-version=1",
        "https://europe-002.azure-apim.net:443/apim/logicflows/A-B/triggers/manual/run",
        "https://us.flow.microsoft.com/manage/environments/",
        "workflows",
        "",
    ],
)
def test_similar_urls_are_no_trigger_urls(text: str) -> None:
    assert find_trigger_urls(text) == []


def test_no_representation_shows_the_signature() -> None:
    """Somebody may log the object of a trigger URL."""
    match = find_trigger_urls(OLD)[0]

    assert OLD_SIG not in repr(match)
    assert OLD_SIG not in repr(match.url)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"{OLD}.", f"{NEW}."),
        (f"Url={OLD};Key=1", f"Url={NEW};Key=1"),
        (f"{OLD},{OLD}", f"{NEW},{NEW}"),
        (OLD.replace(":443", ""), NEW),
        (OLD.replace("PROD", "prod").replace(OLD_ID, OLD_ID.upper()), NEW),
        (f"{OLD}&mode=fast", f"{NEW}&mode=fast"),
        (
            OLD.replace("/invoke?", "/invoke/orders/7?"),
            NEW.replace("/invoke?", "/invoke/orders/7?"),
        ),
        (
            OLD.replace("/invoke?", "/invoke/orders/@{triggerBody()?['a&b']}?"),
            NEW.replace("/invoke?", "/invoke/orders/@{triggerBody()?['a&b']}?"),
        ),
        (
            f"{OLD_HEAD}?sig={OLD_SIG}&x=1&sv=1.0&sp=%2Ft&api-version=2016-06-01",
            f"{NEW_HEAD}?sig={NEW_SIG}&x=1&sv=1.0&sp=%2Ftriggers%2Fmanual%2Frun&api-version=1",
        ),
        (
            OLD.replace(
                "paths/invoke?api-version=2016-06-01", "run?api-version=2015-08-01-preview"
            ),
            NEW,
        ),
        (f"<a href='{OLD.replace('&', '&amp;')}'>", f"<a href='{NEW.replace('&', '&amp;')}'>"),
        (f"?to={quote(OLD, safe='')}&x=1", f"?to={quote(NEW, safe='')}&x=1"),
        (json.dumps({"u": OLD}).replace("/", "\\/"), json.dumps({"u": NEW}).replace("/", "\\/")),
    ],
)
def test_trigger_url_is_replaced_in_place(old: str, new: str) -> None:
    assert replace_trigger_urls(old, TO_NEW) == new


def test_url_of_a_copy_without_a_signature_removes_the_old_signature() -> None:
    old = f"{OLD_HEAD}?sv=1.0&sig={OLD_SIG}&a=1&api-version=2016-06-01&sp=%2Ft&b=2"

    assert replace_trigger_urls(old, {OLD_ID: f"{NEW_HEAD}?api-version=1"}) == (
        f"{NEW_HEAD}?a=1&api-version=1&b=2"
    )


def test_double_slash_of_environment_hosts_is_kept() -> None:
    """See platform.md#double-slash."""
    old = OLD.replace("/invoke?", "/invoke/orders/7?")
    new = NEW.replace("/invoke?", "/invoke//orders/{id}?")

    assert "/invoke//orders/7?api-version=1&" in replace_trigger_urls(old, {OLD_ID: new})


@pytest.mark.parametrize(
    "text",
    [
        f"@{{concat('{OLD_HEAD}/orders/', variables('id'), '?api-version=1&sig={OLD_SIG}')}}",
        f"{OLD_HEAD}?api-version=1&sp=%2Ft&sv=1.0&sig={{{{flow-signature}}}}",
        f"{OLD_HEAD}?api-version=1&sp=%2Ft&sv=1.0&sig=@{{parameters('sig')}}",
        f"{OLD_HEAD}",
        OLD.replace("/triggers/", "/versions/08585/triggers/", 1),
        f"https://{quote(OLD.removeprefix('https://'), safe='')}",
        f"https%3A%2F%2F{OLD.removeprefix('https://')}",
    ],
)
def test_partly_replaceable_url_is_reported_and_not_changed(text: str) -> None:
    """A URL of which only a part could be replaced would not work."""
    assert [match.is_replaceable for match in find_trigger_urls(text)] == [False]
    assert replace_trigger_urls(text, TO_NEW) == text


@pytest.mark.parametrize("bad", ["https://example.org/", f"see {NEW}", NEW_HEAD, ""])
def test_a_replacement_must_be_a_trigger_url(bad: str) -> None:
    with pytest.raises(ValueError, match="not a trigger URL") as error:
        replace_trigger_urls(OLD, {OLD_ID: bad})

    assert not bad or bad not in str(error.value)


def test_replacement_in_json_keeps_the_original_spelling() -> None:
    source = '{ "n" : 1.0e2,\t"u":"\\u0068i %s" , "é":"\\u00e9\\/", "a": [ ] }\r\n'
    old = OLD.replace("&", "\\u0026")
    new = NEW.replace("&", "\\u0026")

    assert replace_in_json(source % old, urls=TO_NEW, flow_ids={}) == source % new


def test_child_references_change_and_equal_text_elsewhere_does_not() -> None:
    child, copy = "4ada345e-9007-eb11-a813-000d3aa3e751", "05dc414d-78eb-ea11-a817-000d3a56b702"
    source = (
        '{"workflowReferenceName": "%s", "body": "' + child + '", "x": "workflowReferenceName"}'
    )

    changed = replace_in_json(source % child.upper(), urls={}, flow_ids={child: copy})

    assert changed == source % copy


def test_url_as_a_member_name_is_not_replaced() -> None:
    """Callers read members by their names."""
    source = json.dumps({OLD: OLD})

    assert json.loads(replace_in_json(source, urls=TO_NEW, flow_ids={})) == {OLD: NEW}


@pytest.mark.parametrize(
    "text",
    [
        f"sig={OLD_SIG}",
        f"?a=1&SIG={OLD_SIG}&b=2",
        json.dumps({"queries": {"sig": OLD_SIG}}),
        json.dumps(json.dumps({"sig": OLD_SIG})),
        f"https://x.blob.core.windows.net/c?sv=1&sig={OLD_SIG}%3D",
        f"\\u0026sig\\u003d{OLD_SIG}",
        quote(quote(f"?x=1&sig={OLD_SIG}%2B%3D", safe=""), safe=""),
    ],
)
def test_every_signature_is_masked_and_restored(text: str) -> None:
    masked = mask_signatures(text)

    assert OLD_SIG not in masked
    assert unmask_signatures(masked, find_signatures(text)) == text


@pytest.mark.parametrize("text", ["design=loud", "sig", "sig=", "sig={{x}}", '"sigma": "x"'])
def test_parameter_that_is_not_a_signature_is_not_masked(text: str) -> None:
    assert mask_signatures(text) == text


def test_masked_signature_is_found_by_its_hash() -> None:
    signature = "a%2Bb%2Fc%3D"
    text = quote(OLD.replace(OLD_SIG, signature), safe="")

    assert find_trigger_urls(text)[0].url.signature_hash == hash_signature(signature)
    assert list(find_signatures(text)) == [hash_signature(signature)]
    assert unmask_signatures(mask_signatures(text), {hash_signature(signature): signature}) == text


@pytest.mark.parametrize("signatures", [{}, {hash_signature(OLD_SIG): NEW_SIG}])
def test_changed_signature_raises_signature_changed(signatures: dict[str, str]) -> None:
    """A revert must not write a masked signature that the platform no longer returns."""
    with pytest.raises(SignatureChanged) as error:
        unmask_signatures(mask_signatures(OLD), signatures)

    assert error.value.signature_hash == hash_signature(OLD_SIG)


def test_reports_show_host_and_workflow_id_only() -> None:
    """A report still shows which flow each URL starts."""
    redacted = redact(f"POST {OLD}&code=secret failed")

    assert redacted == f"POST https://prod-65.westus.logic.azure.com/…/workflows/{OLD_ID}/… failed"
