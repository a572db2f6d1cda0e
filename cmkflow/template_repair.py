"""Explain in firewall fixes what a template leaves open, such as the subscription.

In Bicep and Terraform it becomes a parameter, in Azure CLI commands a placeholder.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cmkflow.template_expressions import Expressions
from shared.domain.network.firewall_fix import FirewallFix, build_unavailable_fix
from shared.domain.network.firewall_fix_text import GROUP, SUBSCRIPTION, format_identifier
from shared.domain.network.firewall_issue import FirewallIssue

_BICEP_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'")
_TERRAFORM_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
#: Prefix of ids in the target scope of a Bicep deployment.
_HERE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
#: Names that the languages reserve or that generated code uses.
_TAKEN = frozenset(
    {"count", "depends_on", "for_each", "lifecycle", "locals", "providers", "source", "version"}
    | {"false", "for", "if", "null", "resourceGroup", "true"}
)
_TERRAFORM_TYPES = {"int": "number", "bool": "bool", "array": "list(any)", "object": "any"}
_SHOWN = 200
#: Rule lists, by the names that firewall kinds use for lists that are not written out.
_LISTS = frozenset(
    {"securityRules", "ipSecurityRestrictions", "scmIpSecurityRestrictions", "ipRules"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placeholder:
    said: str
    type: str = "string"


def explain_missing_list(issue: FirewallIssue) -> FirewallFix | None:
    """Return an unavailable fix if the template does not write out a rule list, or else None."""
    lists = sorted(_LISTS & {*issue.rules})
    if not lists:
        return None
    return build_unavailable_fix(
        issue, f"not_written_out: the template does not contain {lists[0]} as a list"
    )


def with_parameters(fix: FirewallFix, expressions: Expressions) -> FirewallFix:
    """Return a fix in which parameters or comments explain what the template leaves open."""
    known = {
        SUBSCRIPTION: _Placeholder(said="the subscription of the deployment"),
        GROUP: _Placeholder(said="the resource group of the deployment"),
    }
    for placeholder, one in expressions.items():
        said = " ".join(one.text.split())
        shown = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
        known[placeholder] = _Placeholder(said=f"{shown} of the template", type=one.type)
    return replace(
        fix,
        azure_cli=_with_placeholder_comments(fix.azure_cli, known),
        bicep=_with_bicep_parameters(fix.bicep, known),
        terraform=_with_terraform_variables(fix.terraform, known),
    )


def _with_placeholder_comments(text: str, known: Mapping[str, _Placeholder]) -> str:
    used = [one for one in known if one in text]
    return "\n".join([*(f"# {one}: {known[one].said}" for one in used), text])


def _with_bicep_parameters(text: str, known: Mapping[str, _Placeholder]) -> str:
    names = _choose_parameter_names(text.replace(_HERE, ""), known)
    body = _replace_placeholders(text, _BICEP_TEXT, {_HERE: "resourceGroup().id", **names})
    declared = (
        f"// {known[one].said}\nparam {name} {known[one].type}\n" for one, name in names.items()
    )
    return "\n".join([*declared, body])


def _with_terraform_variables(text: str, known: Mapping[str, _Placeholder]) -> str:
    names = _choose_parameter_names(text, known)
    body = _replace_placeholders(
        text, _TERRAFORM_TEXT, {key: f"var.{name}" for key, name in names.items()}
    )
    declared = (
        f"# {known[one].said}\n"
        f'variable "{name}" {{\n  type = {_TERRAFORM_TYPES.get(known[one].type, "string")}\n}}\n'
        for one, name in names.items()
    )
    return "\n".join([*declared, body])


def _choose_parameter_names(text: str, known: Mapping[str, _Placeholder]) -> dict[str, str]:
    taken = {*_TAKEN, *re.findall(r"^resource (\w+) ", text, re.MULTILINE)}
    code = "\n".join(line for line in text.splitlines() if not _is_comment(line))
    names: dict[str, str] = {}
    for placeholder in (one for one in known if one in code):
        name = format_identifier(placeholder.strip("<>"))
        while name in taken:
            name += "_"
        taken.add(name)
        names[placeholder] = name
    return names


def _replace_placeholders(text: str, quoted: re.Pattern[str], references: Mapping[str, str]) -> str:
    def refer_to_parameter(match: re.Match[str]) -> str:
        inner = match[1]
        if inner in references:
            return references[inner]
        for placeholder, reference in references.items():
            inner = inner.replace(placeholder, f"${{{reference}}}")
        return f"{match[0][0]}{inner}{match[0][0]}"

    return "".join(
        line if _is_comment(line) else quoted.sub(refer_to_parameter, line)
        for line in text.splitlines(keepends=True)
    )


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(("//", "#"))
