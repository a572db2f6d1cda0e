"""Draw trigger URLs, and texts in which callers write them."""

import json
from collections.abc import Callable
from urllib.parse import quote
from xml.sax.saxutils import escape

from hypothesis import strategies as st

HEX_IDS = st.text("0123456789abcdef", min_size=32, max_size=32)
_WORD = st.text("abcxyz0189_-", min_size=1, max_size=8)
_SIGNATURE = st.text(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", min_size=43, max_size=43
)
_HOST = st.sampled_from(
    [
        "prod-65.westus.logic.azure.com",
        "prod2-21.usgovtexas.logic.azure.us",
        "ac0f09c0f8bf5e7a4b063d863255f1.01.environment.api.powerplatform.com",
        "flows.example.org",
    ]
)
_PREFIX = st.sampled_from(
    ["", "/powerautomate/automations/direct", "/powerautomate/automations/direct/cu/24"]
)


@st.composite
def draw_trigger_urls(
    draw: st.DrawFn, *, signed: bool = True, as_platform_gives: bool = False
) -> str:
    """Return a trigger URL. Unless `as_platform_gives`, a caller may have added to it."""
    parameters = [f"api-version={draw(st.sampled_from(['1', '2016-06-01']))}"]
    if signed:
        signature = draw(_SIGNATURE)
        parameters += ["sp=%2Ftriggers%2Fmanual%2Frun", "sv=1.0", f"sig={signature}"]
    path = ""
    if not as_platform_gives:
        own = st.tuples(st.sampled_from(["code", "tenant", "mode"]), _WORD).map("=".join)
        parameters = draw(st.permutations(parameters + draw(st.lists(own, max_size=2))))
        path = "".join(f"/{segment}" for segment in draw(st.lists(_WORD, max_size=2)))
    port = draw(st.sampled_from(["", ":443"]))
    workflow = f"{draw(_PREFIX)}/workflows/{draw(HEX_IDS)}/triggers/manual/paths/invoke"
    return f"https://{draw(_HOST)}{port}{workflow}{path}?{'&'.join(parameters)}"


WRITINGS_BY_NAME: dict[str, Callable[[str], str]] = {
    "plain": lambda url: url,
    "JSON": json.dumps,
    "JSON of .NET": lambda url: json.dumps(url).replace("&", "\\u0026"),
    "JSON of PHP": lambda url: json.dumps(url).replace("/", "\\/"),
    "JSON in JSON": lambda url: json.dumps(json.dumps({"url": url}).replace("&", "\\u0026")),
    "JSON of ASP.NET": lambda url: json.dumps(url).replace("/", "\\u002f"),
    "XML": escape,
    "percent": lambda url: quote(url, safe=""),
    "percent, slashes kept": quote,
    "percent twice": lambda url: quote(quote(url, safe=""), safe=""),
}
WRITINGS = st.sampled_from(sorted(WRITINGS_BY_NAME)).map(lambda name: WRITINGS_BY_NAME[name])
