"""Read declared callers from the lines of a CSV file."""

import csv
import io
from collections.abc import Collection
from dataclasses import dataclass

from pydantic import ValidationError

from functions.declared_caller_models import DeclaredCallerRequest
from functions.problems import BadRequest, FieldError
from shared.domain.callers.caller_csv import COLUMNS, UnreadableCsv, parse_csv
from shared.domain.trigger_urls.trigger_url import redact
from shared.use_cases.import_callers import ImportedLine
from shared.validation_text import describe_validation_error

#: Lines of a file with flows.
_MOST_LINES = 1000
_TYPES = {"value_error", "int_parsing", "missing"}
#: How to write the values of these types.
_FORMS = {
    "owner": "a line of this caller has to name the owner",
    "contact": "a line of this caller has to name the contact",
    "max_url_length": "use a number",
    "new_url_secret": "use https://VAULT.vault.azure.net/secrets/NAME",
    "trigger_url_id": "use the trigger URL, or the 32 digits after /workflows/ in it",
    "allowed_hosts": "use hosts such as *.contoso.example, separated by blanks",
    "networks": "use networks such as 203.0.113.0/24, separated by blanks",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerLines:
    """The valid lines of a CSV file of callers, and what is wrong with the invalid ones."""

    lines: tuple[ImportedLine, ...]
    faults: dict[int, str]

    def list_errors(self) -> list[FieldError]:
        return [
            FieldError(field=f"file.{line}", message=text)
            for line, text in sorted(self.faults.items())
        ]


def parse_caller_lines(text: str) -> CallerLines:
    """Return the valid and the invalid lines of a CSV file.

    Raises `BadRequest` if the file lacks a required column or has too many lines.
    """
    try:
        callers, wrong = parse_csv(text)
    except UnreadableCsv as err:
        problem = FieldError(field="file", message=f"{redact(str(err))}.")
        raise BadRequest("The file is not valid.", [problem]) from None
    if sum(len(one.flows) for one in callers) > _MOST_LINES:
        problem = FieldError(field="file", message=f"Use at most {_MOST_LINES} lines.")
        raise BadRequest("The file is not valid.", [problem])
    faults = {one.line: f"{redact(one.text)}." for one in wrong}
    lines: list[ImportedLine] = []
    for caller in callers:
        if not caller.flows:
            faults[caller.line] = "No line of this caller names a flow."
        for line in caller.flows:
            try:
                entry = DeclaredCallerRequest.model_validate(caller.build_declaration(line))
            except ValidationError as err:
                faults[line] = _describe_line_error(err)
            else:
                lines.append(ImportedLine(line=line, caller=entry.to_declared_caller()))
    return CallerLines(lines=tuple(sorted(lines, key=lambda one: one.line)), faults=faults)


def format_caller_lines(lines: Collection[ImportedLine]) -> str:
    """Return the lines as CSV text, without signatures of trigger URLs."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for one in lines:
        caller, (flow,) = one.caller, one.caller.flows
        writer.writerow(
            {
                "name": caller.name,
                "owner": caller.owner,
                "contact": caller.contact,
                "environment_id": flow.environment_id,
                "flow": flow.flow_id,
                "trigger_url_id": flow.trigger_url_id,
                "new_url_secret": flow.new_url_secret,
                "max_url_length": caller.max_url_length or "",
                "allowed_hosts": " ".join(caller.allowed_hosts),
                "user_agent": caller.user_agent,
                "networks": " ".join(caller.networks),
                "authentication": caller.authentication,
                "notification": caller.notification,
            }
        )
    return buffer.getvalue()


def _describe_line_error(err: ValidationError) -> str:
    """Return what is wrong with a line, without the line's values, because they may be secret."""
    texts = []
    for one in err.errors(include_input=False, include_url=False):
        path = [str(part) for part in one["loc"] if part != "flows" and not isinstance(part, int)]
        text = describe_validation_error(one)
        if one["type"] in _TYPES:
            text = _FORMS.get("".join(path[-1:]), text)
        texts.append(f"{': '.join([*path, text])}.")
    return " ".join(dict.fromkeys(texts)).replace("..", ".")
