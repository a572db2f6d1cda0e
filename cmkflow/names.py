"""Names and short ids where the API takes ids: what a person types becomes what is ordered.

A parameter says by one of these in its annotation what it names; `api_command` does the rest. An
id that is whole is taken as it is, so that a script pays no call for it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import Signature
from typing import Annotated, Any

import typer

from cmkflow.api_client import ApiCall, ApiClient, ApiError, ExitCode
from cmkflow.terminal import one_line
from shared.domain.name_lookup import NamedItem, did_you_mean, find_by_id_or_name, find_similar

_WHOLE = re.compile(r"(default-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameResolver:
    """What a parameter names, and where the items it may name are listed."""

    noun: str
    #: What lists them for people.
    command: str
    #: Returns them, by the command's parameters: those that come before are ids already.
    listed: Callable[[ApiClient, Mapping[str, Any]], Iterable[NamedItem]]

    def ids(self, api: ApiClient, arguments: Mapping[str, Any], texts: Iterable[str]) -> list[str]:
        """Return the id that each text means; an empty one stays.

        Raises `ApiError` for a text that means nothing, or more than one.
        """
        known: list[NamedItem] | None = None
        found = []
        for text in texts:
            if text and not _WHOLE.fullmatch(text):
                known = list(self.listed(api, arguments)) if known is None else known
                text = self._one(text, known)
            found.append(text)
        return found

    def _one(self, text: str, known: Iterable[NamedItem]) -> str:
        every = list(known)
        # A solution that was imported twice brings one flow to two environments.
        found = {one.id: one for one in find_by_id_or_name(text, every)}
        if len(found) == 1:
            return next(iter(found))
        if found:
            lines = [f"  {one.id}  {one.name}" for one in found.values()]
            told = f"{text!r} is more than one {self.noun}; say which by its id:"
            raise ApiError("\n".join([told, *lines]), ExitCode.USAGE_ERROR)
        hint = did_you_mean(find_similar(text, every)) or f"{self.command} says which there are."
        raise ApiError(f"No {self.noun} is called {text!r}. {hint}", ExitCode.NOT_FOUND)


def with_ids(api: ApiClient, signature: Signature, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a command's arguments with ids in place of names, the first parameters first."""
    found = dict(arguments)
    for name, parameter in signature.parameters.items():
        for names in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(names, NameResolver) and found.get(name) is not None:
                given = found[name]
                texts = [given] if isinstance(given, str) else given
                ids = names.ids(api, found, texts)
                found[name] = ids[0] if isinstance(given, str) else ids
    return found


def _get(api: ApiClient, *path: str) -> Any:
    return one_line(api.send(ApiCall(method="GET", path=path)))


def _environments(api: ApiClient, _: Mapping[str, Any]) -> Iterable[NamedItem]:
    for one in one_line(api.items("environments")):
        yield NamedItem(id=one["id"], name=one["display_name"])


def _remediations(api: ApiClient, _: Mapping[str, Any]) -> Iterable[NamedItem]:
    for one in one_line(api.items("remediations")):
        yield NamedItem(id=one["remediation"]["id"], name=one["remediation"]["cause"])


def _flows_of_environments(api: ApiClient, arguments: Mapping[str, Any]) -> Iterable[NamedItem]:
    for environment in arguments.get("environments") or [arguments["environment"]]:
        for one in _get(api, "environments", environment, "flows")["items"]:
            yield NamedItem(id=one["id"], name=one["name"])


def _flows_of_jobs(api: ApiClient, arguments: Mapping[str, Any]) -> Iterable[NamedItem]:
    answer = _get(api, "remediations", arguments["remediation"])
    for one in answer["jobs"]:
        others = (one["flow_name"],)
        yield NamedItem(id=one["original_id"], name=one["display_name"], others=others)
    for one in answer.get("needs_changes", ()):
        others = (one["flow_name"],)
        yield NamedItem(id=one["workflow_id"], name=one["display_name"], others=others)


def _flows_of_plans(api: ApiClient, arguments: Mapping[str, Any]) -> Iterable[NamedItem]:
    for plan in _get(api, "remediations", arguments["remediation"], "plan")["items"]:
        for one in plan["items"]:
            others = (one["flow_name"],)
            yield NamedItem(id=one["workflow_id"], name=one["display_name"], others=others)


ENVIRONMENTS = NameResolver(
    noun="environment", command="cmkflow environment list", listed=_environments
)
REMEDIATIONS = NameResolver(
    noun="remediation", command="cmkflow remediation list", listed=_remediations
)
FLOWS_OF_ENVIRONMENTS = NameResolver(
    noun="flow of that environment",
    command="cmkflow flow list",
    listed=_flows_of_environments,
)
FLOWS_OF_JOBS = NameResolver(
    noun="flow of that remediation", command="cmkflow remediation show", listed=_flows_of_jobs
)
FLOWS_OF_PLANS = NameResolver(
    noun="flow of that plan", command="cmkflow plan show", listed=_flows_of_plans
)

_BY = "Name or id, or the beginning of an id."
EnvironmentId = Annotated[str, typer.Argument(metavar="ENVIRONMENT", help=_BY), ENVIRONMENTS]
InEnvironment = Annotated[
    str | None,
    typer.Option("--environment", help="Of this environment only, by name or id."),
    ENVIRONMENTS,
]
RemediationId = Annotated[
    str,
    typer.Argument(metavar="REMEDIATION", help=f"{_BY} Its name is its --name."),
    REMEDIATIONS,
]
Flows = Annotated[
    list[str] | None,
    typer.Option("--flow", help="Flow, by name or id; repeat it. Left out: all of them."),
    FLOWS_OF_JOBS,
]
