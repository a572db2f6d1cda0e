"""Repairs of firewalls that a template deploys: what the template leaves open becomes a parameter.

A template says neither the subscription nor the resource group, and its expressions mean something
only to a deployment of it. In Bicep and Terraform each of them is a parameter; in a command of the
Azure CLI it is a placeholder. A comment says what stands for which expression.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cmkflow.template_expressions import Expressions
from shared.domain.network.firewall_fix import FirewallFix, no_fix
from shared.domain.network.firewall_fix_text import GROUP, SUBSCRIPTION, label
from shared.domain.network.firewall_issue import FirewallIssue

_BICEP_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'")
_TERRAFORM_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
#: Where Bicep deploys what it is given, as an id begins.
_HERE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
#: Names that the languages keep for themselves, or that a text of ours calls.
_TAKEN = frozenset(
    {"count", "depends_on", "for_each", "lifecycle", "locals", "providers", "source", "version"}
    | {"false", "for", "if", "null", "resourceGroup", "true"}
)
_TERRAFORM_TYPES = {"int": "number", "bool": "bool", "array": "list(any)", "object": "any"}
_SHOWN = 200
#: Lists of rules, as firewalls that do not write them out name them.
_LISTS = frozenset(
    {"securityRules", "ipSecurityRestrictions", "scmIpSecurityRestrictions", "ipRules"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """What one placeholder stands for."""

    said: str
    type: str = "string"


def unwritten(gap: FirewallIssue) -> FirewallFix | None:
    """Return the refusal of a change to a list of rules that only a deployment decides."""
    lists = sorted(_LISTS & {*gap.rules})
    if not lists:
        return None
    return no_fix(gap, f"not_written_out: the template does not write out {lists[0]}")


def with_parameters(repair: FirewallFix, expressions: Expressions) -> FirewallFix:
    """Return a repair whose texts declare, or name, what the template leaves open."""
    known = {
        SUBSCRIPTION: _Open(said="the subscription of the deployment"),
        GROUP: _Open(said="the resource group of the deployment"),
    }
    for placeholder, one in expressions.items():
        said = " ".join(one.text.split())
        shown = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
        known[placeholder] = _Open(said=f"{shown} of the template", type=one.type)
    return replace(
        repair,
        azure_cli=_commands(repair.azure_cli, known),
        bicep=_bicep(repair.bicep, known),
        terraform=_terraform(repair.terraform, known),
    )


def _commands(text: str, known: Mapping[str, _Open]) -> str:
    used = [one for one in known if one in text]
    return "\n".join([*(f"# {one}: {known[one].said}" for one in used), text])


def _bicep(text: str, known: Mapping[str, _Open]) -> str:
    names = _names(text.replace(_HERE, ""), known)
    body = _replaced(text, _BICEP_TEXT, {_HERE: "resourceGroup().id", **names})
    declared = (
        f"// {known[one].said}\nparam {name} {known[one].type}\n" for one, name in names.items()
    )
    return "\n".join([*declared, body])


def _terraform(text: str, known: Mapping[str, _Open]) -> str:
    names = _names(text, known)
    body = _replaced(text, _TERRAFORM_TEXT, {key: f"var.{name}" for key, name in names.items()})
    declared = (
        f"# {known[one].said}\n"
        f'variable "{name}" {{\n  type = {_TERRAFORM_TYPES.get(known[one].type, "string")}\n}}\n'
        for one, name in names.items()
    )
    return "\n".join([*declared, body])


def _names(text: str, known: Mapping[str, _Open]) -> dict[str, str]:
    """Return what each placeholder of a text is called, by a name that is free there."""
    taken = {*_TAKEN, *re.findall(r"^resource (\w+) ", text, re.MULTILINE)}
    code = "\n".join(line for line in text.splitlines() if not _is_comment(line))
    names: dict[str, str] = {}
    for placeholder in (one for one in known if one in code):
        name = label(placeholder.strip("<>"))
        while name in taken:
            name += "_"
        taken.add(name)
        names[placeholder] = name
    return names


def _replaced(text: str, quoted: re.Pattern[str], references: Mapping[str, str]) -> str:
    """Return a text with references where its quoted texts hold placeholders."""

    def referring(match: re.Match[str]) -> str:
        inner = match[1]
        if inner in references:
            return references[inner]
        for placeholder, reference in references.items():
            inner = inner.replace(placeholder, f"${{{reference}}}")
        return f"{match[0][0]}{inner}{match[0][0]}"

    return "".join(
        line if _is_comment(line) else quoted.sub(referring, line)
        for line in text.splitlines(keepends=True)
    )


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(("//", "#"))
