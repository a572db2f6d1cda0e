import re

from functions.endpoints import HTML, list_endpoints
from tests.functional.scenarios.dashboard_stages import STOPPED, visit_stages
from tests.functional.scenarios.page_visitor import PAGE_ROUTES

_SIGNATURE = re.compile(r"sig(=|%3D)[A-Za-z0-9_-]{20}")
#: Texts that only a fault brings into a page: Python's values, and plurals of one.
_FAULT = re.compile(
    r"\w None\b|^None$|=None\b|\bundefined\b|object at 0x|\{\{|\b1 [a-z]+s (are|need|have)\b"
    r"|\bfor 0 s\b|\b0 entries\b|\bnone counted\b"
)

_RETRY = re.compile(r'<form method="post" action="[^"]*/retry"')


#: Ids, and those of the texts that say why a button is not offered.
_ID = re.compile(r'<[^>]* id="([^"]+)"')
_REASON_ID = re.compile(r'aria-disabled="true" aria-describedby="([^"]+)"')


async def test_every_page_is_shown_at_every_stage_without_secrets_or_faulty_texts() -> None:
    names = list[str]()
    async for pages in visit_stages(3):
        for page in pages:
            names.append(page.name)
            assert not _SIGNATURE.search(page.text), page.name
            faults = [one for one in re.split(r"<|>", page.text) if _FAULT.search(one.strip())]
            assert faults == [], page.name
            ids = _ID.findall(page.text)
            assert len(ids) == len(set(ids)), page.name
            assert set(_REASON_ID.findall(page.text)) <= set(ids), page.name
            assert page.text.count(" aria-disabled=") == len(_REASON_ID.findall(page.text))
    assert len(names) == len(set(names))


def test_stages_include_each_endpoint_with_a_page() -> None:
    endpoints = list_endpoints().values()
    pages = {one.path for one in endpoints if one.method == "GET" and one.media_types[0] == HTML}

    assert pages <= {route.path for route in PAGE_ROUTES} | {"declared-callers/confirmation"}


async def test_no_page_offers_a_retry_while_the_kill_switch_is_on() -> None:
    before, stopped = dict[str, str](), dict[str, str]()
    async for pages in visit_stages(3):
        for page in pages:
            name, _, stage = page.name.rpartition("-")
            {"blocked": before, "stopped": stopped}.get(stage, {})[name] = page.text

    assert stopped.keys() == STOPPED.keys()
    retried = {name for name in stopped if _RETRY.search(before[name])}
    assert retried == {"remediation", "flow", "network"}
    for name, text in stopped.items():
        assert not _RETRY.search(text), name
        assert 'action="/api/kill-switch/off"' in text, name
        assert "Change freeze, INC-4411" in text, name
    later = "The app changes flows only after the kill switch is off."
    delayed = {name for name, text in stopped.items() if later in text}
    assert delayed == {"remediation", "flow"}
    for name in retried:
        assert "The kill switch is on. Turn it off first.</p>" in stopped[name], name
