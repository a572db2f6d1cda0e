"""Let browsers that are not signed in sign in: redirect requests for pages, and keep forms.

App Service serves the URLs below `/.auth/`:
learn.microsoft.com/azure/app-service/configure-authentication-customize-sign-in-out.
"""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode, urlsplit

import azure.functions as func

from functions.dashboard.page_layout import build_expired_session_page
from functions.forms import has_file, parse_form_fields, parse_member_name
from functions.http_requests import KEY_PARAMETERS, MAX_BODY_BYTES, RequestModel
from functions.http_responses import build_page_response
from functions.principals import KEY_HEADER, is_from_own_page
from functions.problems import NotSignedIn

#: What the forms do whose route does not say it with its last word.
_TITLES = {
    "environments/{id}/assessment": "Start an assessment",
    "environments/{id}/ignored-issues": "Ignore a firewall issue",
    "environments/{id}/settings": "Change settings",
    "kill-switch/off": "Turn the kill switch off",
    "kill-switch/on": "Turn the kill switch on",
    "network/firewall-fixes": "Apply a firewall fix",
    "remediations": "Start a remediation",
    "remediations/{id}/approve": "Approve a plan",
    "remediations/{id}/cancel": "Cancel remaining flows",
    "remediations/{id}/retry": "Retry flows",
    "remediations/{id}/rollback": "Roll back flows",
}
#: Names of fields whose own name is not clear.
_LABELS = {"accept_replay": "polling flows may process events again"}
#: The object of a form whose URL names it.
_OBJECT = re.compile(r"/api/(remediation|environment)s/([A-Za-z0-9-]+)/")
_YES_NO = {"true": "yes", "false": "no"}
_LOGIN = "/.auth/login/aad"


def build_login_url(target: str) -> str:
    """Return the URL at which a reader signs in, and which then leads to the path `target` of this
    app.
    """
    return f"{_LOGIN}?{urlencode({'post_login_redirect_uri': target})}"


def is_page_load(req: func.HttpRequest) -> bool:
    """Return whether a browser loads a page. Browsers report that (w3.org/TR/fetch-metadata). Older
    browsers are recognized because they accept HTML and send no credentials except the cookie.
    """
    mode: str = req.headers.get("Sec-Fetch-Mode", "")
    if mode:
        return mode == "navigate"
    is_program = "Authorization" in req.headers or KEY_HEADER in req.headers
    return not is_program and "text/html" in req.headers.get("Accept", "")


def redirect_to_sign_in(req: func.HttpRequest) -> func.HttpResponse:
    """Return a redirect to the sign-in. The sign-in then leads to the requested URL."""
    address = urlsplit(req.url)
    kept = [one for one in parse_qsl(address.query) if one[0].lower() not in KEY_PARAMETERS]
    # Exactly one slash, because two would make the rest a host name.
    target = "/" + address.path.lstrip("/") + (f"?{urlencode(kept)}" if kept else "")
    headers = {"Location": build_login_url(target), "Cache-Control": "no-store"}
    return func.HttpResponse(status_code=302, headers=headers)


def build_expired_form_page(
    req: func.HttpRequest, path: str, body: type[RequestModel], err: NotSignedIn
) -> func.HttpResponse | None:
    """Return the page that keeps a form whose session has expired, or None if it must not be kept.

    Nothing is changed until a person sends the form from that page. A form from another site is not
    kept, because its button would send that site's request. Files are not kept either.
    """
    content: bytes = req.get_body()
    if not is_from_own_page(req) or len(content) > MAX_BODY_BYTES or has_file(req):
        return None
    names = {field.alias or name for name, field in body.model_fields.items()}
    fields = [one for one in parse_form_fields(content) if parse_member_name(one[0]) in names]
    action = urlsplit(req.url).path
    text = build_expired_session_page(
        action=action,
        title=_format_form_title(path),
        fields=fields,
        shown=_format_object_of_form(action) | _format_form_values(fields),
        login=build_login_url("/api/dashboard"),
    )
    return build_page_response(text, status=401, headers=err.headers)


def _format_form_title(path: str) -> str:
    return _TITLES.get(path) or path.rpartition("/")[2].replace("-", " ").capitalize()


def _format_object_of_form(action: str) -> dict[str, list[str]]:
    """Return the kind and short id of what a form is about. The name is left out, because the
    reader is not signed in.
    """
    found = _OBJECT.match(action)
    return {found[1]: [f"#{found[2][:8]}"]} if found else {}


def _format_form_values(fields: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    shown: dict[str, list[str]] = {}
    for name, value in fields:
        values = value.split(",") if name.endswith("[,]") else [_YES_NO.get(value, value)]
        member = parse_member_name(name)
        shown.setdefault(_LABELS.get(member) or member.replace("_", " "), []).extend(values)
    return shown
