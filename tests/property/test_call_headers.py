from dataclasses import astuple
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.callers.call_headers import parse_call_traits
from shared.domain.callers.observed_caller import (
    CallerNames,
    ObservedCall,
    ObservedCallers,
    add_caller_names,
    add_calls,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
#: Headers of which the app stores a part.
READ = (
    "User-Agent",
    "X-Forwarded-For",
    "x-ms-client-tracking-id",
    "x-ms-workflow-id",
    "x-ms-workflow-resourcegroup-name",
    "x-ms-workflow-subscription-id",
    "X-VSS-SubscriptionId",
)
#: Of other headers it stores nothing, whatever their value.
OTHERS = ("Authorization", "Cookie", "X-Api-Key", "X-Original-URL", "Ocp-Apim-Subscription-Key")
#: As long as a signature or a key: letters and digits.
SECRET = st.from_regex(r"[A-Za-z0-9]{10}[0-9][A-Za-z0-9_-]{29,60}", fullmatch=True)
AROUND = st.text(alphabet=" ,;()=&/:.abcXYZ09-", max_size=12)


@st.composite
def draw_headers_with_a_secret(draw: st.DrawFn) -> tuple[dict[str, str], str]:
    secret = draw(SECRET)
    name = draw(st.sampled_from(READ + OTHERS))
    agent = draw(st.sampled_from(["curl/8.5.0", "Mozilla/5.0 (X11)", ""]))
    headers = {"User-Agent": agent, "X-Forwarded-For": "203.0.113.7"}
    headers[name] = f"{draw(AROUND)}{secret}{draw(AROUND)}"
    headers[draw(st.sampled_from(OTHERS))] = f"Bearer {secret}"
    if draw(st.booleans()):
        headers["x-ms-workflow-id"] = "a" * 32
    return headers, secret


@given(draw_headers_with_a_secret())
def test_no_secret_is_kept(drawn: tuple[dict[str, str], str]) -> None:
    headers, secret = drawn

    traits = parse_call_traits(headers)
    row = ObservedCallers(environment_id="e", job_id="j", read_until=NOW)
    row = add_calls(row, [ObservedCall(started_at=NOW.replace(hour=1), traits=traits)])
    named = add_caller_names(row, CallerNames(flows={}, known={}))

    for kept in (*map(str, astuple(traits)), *(one.text for one in named)):
        assert secret.lower() not in kept.lower()


@given(st.dictionaries(st.text(max_size=20), st.one_of(st.text(), st.integers(), st.none())))
def test_any_headers_are_read(headers: dict[str, object]) -> None:
    traits = parse_call_traits(headers)

    text = f"{traits.user_agent}{traits.network}{traits.source_id}"
    assert text.isprintable()
    assert len(text) <= 300


@given(st.sampled_from(OTHERS), st.text(max_size=50))
def test_other_headers_change_nothing(name: str, value: str) -> None:
    plain = {"User-Agent": "curl/8.5.0"}

    assert parse_call_traits({**plain, name: value}) == parse_call_traits(plain)
