"""Look up the ids for the names and short ids that users type. Complete ids need no request."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import Signature
from typing import Annotated, Any

import typer

from cmkflow.api_client import ApiCall, ApiClient, ApiError, ExitCode
from cmkflow.profiles import find_app_url
from cmkflow.terminal import remove_line_breaks
from shared.domain.name_lookup import (
    NamedItem,
    find_items_by_id_or_name,
    find_similar_items,
    format_suggestion,
)

_WHOLE = re.compile(r"(default-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameResolver:
    """Finds the ids of the items that a parameter names."""

    noun: str
    #: The command that lists the items.
    command: str
    #: Returns the items, given the command's parameters; earlier parameters are already ids.
    listed: Callable[[ApiClient, Mapping[str, Any]], Iterable[NamedItem]]

    def resolve_names(
        self, api: ApiClient, arguments: Mapping[str, Any], texts: Iterable[str]
    ) -> list[str]:
        """Return the id that each text names. Empty texts and complete ids stay unchanged. Raises
        `ApiError` if a text matches no item or several.
        """
        known: list[NamedItem] | None = None
        found = []
        for text in texts:
            if text and not _WHOLE.fullmatch(text):
                known = list(self.listed(api, arguments)) if known is None else known
                text = self._resolve_name(text, known)
            found.append(text)
        return found

    def _resolve_name(self, text: str, known: Iterable[NamedItem]) -> str:
        every = list(known)
        # The same flow may exist in several environments, after a solution was imported twice.
        found = {one.id: one for one in find_items_by_id_or_name(text, every)}
        if len(found) == 1:
            return next(iter(found))
        if found:
            lines = [f"  {one.id}  {one.name}" for one in found.values()]
            text_of_error = f"Several matches for {self.noun} {text!r}. Use an id:"
            raise ApiError("\n".join([text_of_error, *lines]), ExitCode.USAGE_ERROR)
        hint = format_suggestion(find_similar_items(text, every)) or f"List them: {self.command}."
        raise ApiError(f"No {self.noun} matches {text!r}. {hint}", ExitCode.NOT_FOUND)


def replace_names_with_ids(
    api: ApiClient, signature: Signature, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a command's arguments with ids in place of names. Names are replaced in the order of
    the parameters, because a name may depend on an earlier parameter.
    """
    found = dict(arguments)
    for name, parameter in signature.parameters.items():
        for names in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(names, NameResolver) and found.get(name) is not None:
                given = found[name]
                texts = [given] if isinstance(given, str) else given
                ids = names.resolve_names(api, found, texts)
                found[name] = ids[0] if isinstance(given, str) else ids
    return found


def _request_document(api: ApiClient, *path: str) -> Any:
    return remove_line_breaks(api.send(ApiCall(method="GET", path=path)))


def _list_environments(api: ApiClient, _: Mapping[str, Any]) -> Iterable[NamedItem]:
    for one in remove_line_breaks(api.list_items("environments")):
        yield NamedItem(id=one["id"], name=one["display_name"])


def _list_remediations(api: ApiClient, _: Mapping[str, Any]) -> Iterable[NamedItem]:
    for one in remove_line_breaks(api.list_items("remediations")):
        yield NamedItem(id=one["remediation"]["id"], name=one["remediation"]["idempotency_key"])


def _list_support_requests(api: ApiClient, _: Mapping[str, Any]) -> Iterable[NamedItem]:
    for one in _request_document(api, "support-requests")["items"]:
        yield NamedItem(id=one["id"], name=one["environment_name"])


def _list_flows_of_environments(
    api: ApiClient, arguments: Mapping[str, Any]
) -> Iterable[NamedItem]:
    for environment in arguments.get("environments") or [arguments["environment"]]:
        for one in _request_document(api, "environments", environment, "flows")["items"]:
            yield NamedItem(id=one["id"], name=one["name"])


def _list_flows_of_jobs(api: ApiClient, arguments: Mapping[str, Any]) -> Iterable[NamedItem]:
    answer = _request_document(api, "remediations", arguments["remediation"])
    for one in answer["flow_jobs"]:
        others = (one["flow_name"],)
        yield NamedItem(id=one["original_id"], name=one["display_name"], others=others)
    for one in answer.get("needs_changes", ()):
        others = (one["flow_name"],)
        yield NamedItem(id=one["workflow_id"], name=one["display_name"], others=others)


def _list_flows_of_plans(api: ApiClient, arguments: Mapping[str, Any]) -> Iterable[NamedItem]:
    for plan in _request_document(api, "remediations", arguments["remediation"], "plan")["items"]:
        for one in plan["items"]:
            others = (one["flow_name"],)
            yield NamedItem(id=one["workflow_id"], name=one["display_name"], others=others)


ENVIRONMENTS = NameResolver(
    noun="environment", command="cmkflow environment list", listed=_list_environments
)
REMEDIATIONS = NameResolver(
    noun="remediation", command="cmkflow remediation list", listed=_list_remediations
)
SUPPORT_REQUESTS = NameResolver(
    noun="support request",
    command="cmkflow support-request list",
    listed=_list_support_requests,
)
FLOWS_OF_ENVIRONMENTS = NameResolver(
    noun="flow of that environment",
    command="cmkflow flow list ENVIRONMENT",
    listed=_list_flows_of_environments,
)
FLOWS_OF_JOBS = NameResolver(
    noun="flow of that remediation",
    command="cmkflow remediation show REMEDIATION",
    listed=_list_flows_of_jobs,
)
FLOWS_OF_PLANS = NameResolver(
    noun="flow of that plan", command="cmkflow plan show REMEDIATION", listed=_list_flows_of_plans
)


def build_name_completion(resolver: NameResolver) -> Callable[[typer.Context, str], list[str]]:
    """Return a function that completes names and ids. It completes nothing if the app does not
    answer.
    """

    def complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
        given = ctx.params
        try:
            url = find_app_url(given.get("api") or "", given.get("profile") or "")
            api = ApiClient(url=url, key=given.get("function_key") or "")
            found = list(resolver.listed(api, given))
        except (ApiError, typer.BadParameter):
            return []
        texts = [text for one in found for text in (one.name, one.id)]
        return [text for text in texts if text and text.startswith(incomplete)]

    return complete_name


_BY = "Name, id, or the beginning of an id."
EnvironmentId = Annotated[
    str,
    typer.Argument(
        metavar="ENVIRONMENT", help=_BY, autocompletion=build_name_completion(ENVIRONMENTS)
    ),
    ENVIRONMENTS,
]
InEnvironment = Annotated[
    str | None,
    typer.Option(
        "--environment",
        help="Only this environment, by name or id.",
        autocompletion=build_name_completion(ENVIRONMENTS),
    ),
    ENVIRONMENTS,
]
InRemediation = Annotated[
    str | None,
    typer.Option(
        "--remediation",
        help="Only this remediation, by name or id.",
        autocompletion=build_name_completion(REMEDIATIONS),
    ),
    REMEDIATIONS,
]
RemediationId = Annotated[
    str,
    typer.Argument(
        metavar="REMEDIATION",
        help=f"{_BY} The name is the `--name` of `cmkflow remediation start`.",
        autocompletion=build_name_completion(REMEDIATIONS),
    ),
    REMEDIATIONS,
]
SupportRequestId = Annotated[
    str,
    typer.Argument(
        metavar="REQUEST",
        help="Id, the beginning of an id, or name of the environment.",
        autocompletion=build_name_completion(SUPPORT_REQUESTS),
    ),
    SUPPORT_REQUESTS,
]
Flows = Annotated[
    list[str] | None,
    typer.Option("--flow", help="Flow, by name or id. Can be repeated. Default: all flows."),
    FLOWS_OF_JOBS,
]
