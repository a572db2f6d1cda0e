"""Read the forms that the dashboard posts, and redirect to the page that has the form."""

import json
import re
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode

import azure.functions as func

from functions.dashboard.page_layout import build_problem_page, build_rejected_link_page
from functions.http_headers import LOCATION
from functions.http_requests import (
    FORM_CONTEXT,
    RequestModel,
    convert_validation_errors,
    get_raw_body,
)
from functions.http_responses import build_page_response
from functions.principals import PRINCIPAL, is_from_own_page
from functions.problems import CHALLENGE, LINK_REJECTED, MEDIA_TYPE, Forbidden
from shared.html_pages import read_style

FORM = "application/x-www-form-urlencoded"
#: The type of a form with a file.
FILE_FORM = "multipart/form-data"
#: The page to return to if the request does not name one.
_HOME = "/api/dashboard"
_KEPT = re.compile(r"/api/remediations/([A-Za-z0-9-]+)/[a-z-]+$")

#: Members of a response with the number of jobs that an action changed.
_COUNTS = ("flow_count", "retried_count", "cancelled_count")
#: `Location` of a remediation that was started.
_MADE = re.compile(r"/api(/remediations/[A-Za-z0-9-]+)$")


def is_form(req: func.HttpRequest) -> bool:
    """Return whether a browser sent the request as a form."""
    return _parse_media_type(req) in {FORM, FILE_FORM}


def has_file(req: func.HttpRequest) -> bool:
    return _parse_media_type(req) == FILE_FORM


def _parse_media_type(req: func.HttpRequest) -> str:
    kind: str = req.headers.get("Content-Type", "")
    return kind.partition(";")[0].strip().lower()


def parse_form[T: RequestModel](req: func.HttpRequest, kind: type[T]) -> T:
    """Return the fields of a form as a validated request body.

    A field `name[]` adds its value to the list `name`. A field `name[,]` has a whole list,
    separated by commas. Empty fields are ignored, except `name[=]`. Fields whose name begins with
    an underscore are for another button of the form. Raises `BadRequest` if the form is not valid,
    and `Forbidden` if no page of this app sent it.
    """
    if not is_from_own_page(req):
        raise Forbidden(
            "This form did not come from a page of this app.",
            fix="Open the dashboard and repeat the action there.",
        )
    fields: dict[str, object] = {}
    lists: dict[str, list[str]] = {}
    aliases = {field.alias for field in kind.model_fields.values()}
    content = get_raw_body(req)
    parts = _parse_form_parts(req, content) if has_file(req) else parse_form_fields(content)
    for name, value in parts:
        member = parse_member_name(name)
        if name.endswith("[,]"):
            lists.setdefault(member, []).extend(filter(None, value.split(",")))
        elif name.endswith("[=]"):
            fields[member] = value
        elif not value.strip():
            continue
        elif name != member:
            lists.setdefault(member, []).append(value)
        elif not name.startswith("_") or name in aliases:
            fields[member] = value
    return convert_validation_errors(
        "form", lambda: kind.model_validate({**fields, **lists}, context=FORM_CONTEXT)
    )


def parse_form_fields(content: bytes) -> list[tuple[str, str]]:
    return parse_qsl(content.decode(errors="replace"), keep_blank_values=True)


def _parse_form_parts(req: func.HttpRequest, content: bytes) -> list[tuple[str, str]]:
    header = f"Content-Type: {req.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(header + content)
    found = []
    for part in message.iter_parts():
        name = part.get_param("name", header="Content-Disposition")
        value = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(value, bytes):
            found.append((name, _decode_file(value)))
    return found


def _decode_file(value: bytes) -> str:
    """Decode a file in UTF-8, in UTF-16 with a byte order mark, or else in Windows-1252."""
    if value.startswith((b"\xff\xfe", b"\xfe\xff")):
        return value.decode("utf-16", errors="replace")
    try:
        return value.decode("utf-8-sig")
    except UnicodeDecodeError:
        return value.decode("cp1252", errors="replace")


def parse_member_name(name: str) -> str:
    """Return which member of the request a field of a form sets."""
    return name.removesuffix("[]").removesuffix("[,]").removesuffix("[=]")


def adapt_response_to_browser(
    path: str, req: func.HttpRequest, answer: func.HttpResponse, *, is_page: bool, is_sent: bool
) -> func.HttpResponse:
    """Adapt a response to a browser: show a problem as a page, and redirect after a form.

    `path` is the path of the route. `is_sent` says that the request is a form and not a GET. The
    redirect leads to the page with the form, or to the remediation that was started. Its query
    names the action and the number of jobs.
    """
    is_wanted = "text/html" in req.headers.get("Accept", "")
    if answer.mimetype == MEDIA_TYPE and is_wanted and (is_page or is_sent):
        said = json.loads(answer.get_body())
        fix = said.get("fix", "")
        if said["type"].endswith(f":{LINK_REJECTED}"):
            text = build_rejected_link_page(said["detail"], fix)
            return build_page_response(text, style=read_style(), status=answer.status_code)
        text = build_problem_page(
            said["title"],
            " ".join(
                [said["detail"], *(_format_field_error(one) for one in said.get("errors", ()))]
            ),
            fix,
            back=_get_previous_page_url(req),
            has_session=PRINCIPAL in req.headers,
            # Every page requires the same role.
            has_pages=is_sent or answer.status_code != HTTPStatus.FORBIDDEN,
        )
        return build_page_response(
            text, status=answer.status_code, headers=_get_challenge_header(answer)
        )
    if not is_sent or answer.status_code >= 300 or answer.mimetype == "text/html":
        return answer
    said = json.loads(answer.get_body())
    counts = (said[name] for name in _COUNTS if name in said)
    jobs = next(counts, len(said.get("items", ())))
    action = path.partition("}/")[2].replace("/", "-") or path.rpartition("/")[2]
    done = urlencode({"completed_action": action, "flow_count": jobs})
    made = _MADE.match(answer.headers.get(LOCATION, ""))
    target = f"{_HOME}{made[1]}" if made else _get_previous_page_url(req)
    return func.HttpResponse(status_code=303, headers={LOCATION: f"{target}?{done}"})


def _format_field_error(error: Mapping[str, str]) -> str:
    field, _, entry = error["field"].partition(".")
    field = field.replace("_", " ").capitalize()
    if field == "File" and entry:
        field = f"Line {entry}"
    elif entry.isdecimal():
        field += f", entry {int(entry) + 1}"
    return f"{field}: {error['message'].removesuffix('.')}." if field else error["message"]


def _get_challenge_header(answer: func.HttpResponse) -> dict[str, str]:
    found = answer.headers.get(CHALLENGE)
    return {CHALLENGE: found} if found else {}


def _get_previous_page_url(req: func.HttpRequest) -> str:
    # A Referer that is not a URL leads to the Overview page.
    there = req.headers.get("Referer", "").partition("://")[2].partition("?")[0]
    path = f"/{there.partition('/')[2]}"
    if kept := _KEPT.match(path):
        return f"{_HOME}/remediations/{kept[1]}"
    if path.startswith(f"{_HOME}/callers/"):
        return f"{_HOME}/callers"
    if path.startswith("/api/environments/"):
        return f"{_HOME}/environments"
    return path if path == _HOME or path.startswith(f"{_HOME}/") else _HOME
