import json
import re
import shlex
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import hcl2
import pytest

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall_decision import RuleSources, evaluate_rules
from shared.domain.network.firewall_fix import FirewallFix, explain_why_no_rule_helps
from shared.domain.network.firewall_issue import FirewallIssue, find_firewall_issue
from shared.domain.network.service_tags import ServiceTagList
from shared.firewalls import build_firewall_kinds
from tests.fakes.ports import build_fakes
from tests.fakes.world import World
from tests.kinds.bicep_values import parse_resources
from tests.kinds.case import Json, build_resource
from tests.kinds.cases import FIREWALL_KINDS, load_firewall_case
from tests.kinds.firewalls import azure_firewall, key_vault, sql_server
from tests.kinds.firewalls.app_service import build_restriction, build_site, build_web_config
from tests.kinds.firewalls.network_security_group import build_security_group, build_security_rule
from tests.unit.uncovered import build_tag_list, find_required_issues

WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
TAGS = build_tag_list(
    {
        WEST: ["20.61.88.128/26", "20.105.215.228/30", "20.105.215.232/31"],
        NORTH: ["4.207.189.192/26", "2603:1061:2004:7900::/56"],
        "LogicApps.WestEurope": ["13.69.71.0/25"],
        "LogicApps.NorthEurope": ["13.69.231.160/27"],
    }
)
#: The sources that firewalls allowed before.
LET_IN = ("LogicApps.WestEurope", "LogicApps.NorthEurope")
_ADDRESS = re.compile(r"(?<![\w.])\d+\.\d+\.\d+\.\d+(?:/\d+)?(?![\w.])")


class Estate:
    """A set of Azure resources and the firewalls that the app reads in them."""

    def __init__(self, resources: Mapping[str, Json], hosts: Sequence[str | None] = ()) -> None:
        """Copy these resources, given by their paths. `hosts` are the hosts that flows call."""
        self.resources = {path.lower(): deepcopy(one) for path, one in resources.items()}
        self.world = World()
        self.world.resources = self.resources  # type: ignore[assignment]
        self._hosts = [*hosts] or ["api.contoso.example"]

    async def find_issues(self) -> list[FirewallIssue]:
        """Return the firewall issues for European flows that call the hosts."""
        kinds = build_firewall_kinds(build_fakes(self.world).ports.resources)
        found = [one for kind in kinds.values() for one in await kind.read()]
        return find_required_issues(found, "europe", self._hosts, TAGS)

    async def propose_fix(self, gap: FirewallIssue) -> FirewallFix:
        kinds = build_firewall_kinds(build_fakes(self.world).ports.resources)
        return explain_why_no_rule_helps(gap) or await kinds[gap.kind].propose_fix(gap)

    async def require_only_fix(self) -> FirewallFix:
        [gap] = await self.find_issues()
        return await self.propose_fix(gap)

    def deploy(self, bicep: str) -> None:
        """Apply the resources of a Bicep text, and the IP filters in its comments."""
        for one in parse_resources(bicep):
            provider, *kinds = one.type.split("/")
            path = "/".join(f"{kind}/{name}" for kind, name in zip(kinds, one.names, strict=True))
            there = self._find_resource(f"/providers/{provider}/{path}")
            if there:
                there["properties"] = {**there["properties"], **one.properties}
            elif one.type.endswith("/securityRules"):
                group = self._find_resource(f"/providers/{provider}/{kinds[0]}/{one.names[0]}")
                rule = {"name": one.names[-1], "properties": one.properties}
                group["properties"]["securityRules"].append(rule)
            else:
                new = build_resource(one.type, *one.names, properties=one.properties)
                self.resources[new["id"].lower()] = new
        self._widen_filters(
            "".join(re.findall(r"^// +(<address-range .*/>)$", bicep, re.MULTILINE))
        )

    def _find_resource(self, path: str) -> Json:
        return next(
            (self.resources[one] for one in self.resources if one.endswith(path.lower())), {}
        )

    def _widen_filters(self, lines: str) -> None:
        policy = self._find_resource("/policies/policy").get("properties", {"value": ""})
        policy["value"] = policy["value"].replace("</ip-filter>", f"{lines}</ip-filter>")


def build_estate(kind: str) -> Estate:
    """Return resources with a firewall of this kind that allows only the old addresses of flows."""
    case = load_firewall_case(kind)
    return Estate(case.resources(case.build_sources(LET_IN, TAGS)))


def list_prefixes(tags: ServiceTagList, name: str) -> tuple[str, ...]:
    entry = tags.find(name)
    assert entry is not None
    return entry.prefixes


def find_new_addresses(text: str, before: str) -> set[str]:
    return set(_ADDRESS.findall(text)) - set(_ADDRESS.findall(before))


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_bicep_of_a_fix_removes_the_issue(kind: str) -> None:
    here = build_estate(kind)
    [gap] = await here.find_issues()

    repair = await here.propose_fix(gap)
    here.deploy(repair.bicep)

    assert (repair.issue, repair.unavailable_reason) == (gap.name, "")
    assert await here.find_issues() == []


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_fix_keeps_the_allowed_addresses(kind: str) -> None:
    """Flows on the old addresses must still pass."""
    here = build_estate(kind)
    before = json.dumps(here.resources)

    here.deploy((await here.require_only_fix()).bicep)

    after = json.dumps(here.resources)
    assert set(_ADDRESS.findall(before)) <= set(_ADDRESS.findall(after))
    assert all(tag in after for tag in LET_IN if tag in before)


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_each_text_of_a_fix_contains_exactly_the_missing_addresses(kind: str) -> None:
    here = build_estate(kind)
    [gap] = await here.find_issues()
    before = json.dumps(here.resources)

    repair = await here.propose_fix(gap)
    texts = (repair.azure_cli, repair.bicep, repair.terraform)

    new_addresses = [find_new_addresses(text, before) for text in texts]
    assert new_addresses[0] == new_addresses[1] == new_addresses[2]
    assert AddressRanges.parse(new_addresses[0]) <= AddressRanges.parse(gap.missing_prefixes)
    if not new_addresses[0]:
        assert all(tag in text for tag in gap.missing_tags for text in texts)
        assert not any(tag in text for tag in LET_IN for text in texts[:1])


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_terraform_and_commands_of_a_fix_can_be_parsed(kind: str) -> None:
    repair = await build_estate(kind).require_only_fix()

    assert hcl2.loads(repair.terraform) or kind == "api_management"  # only comments
    commands = re.sub(r" \\\n", " ", repair.azure_cli).splitlines()
    words = [shlex.split(one) for one in commands if not one.startswith("#")]
    assert words != []
    for command in words:
        assert command[0] in {"az", "sed"}
        where = {"--resource-group", "--ids", "--url"}
        assert command[0] == "sed" or where & set(command)


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_texts_of_a_fix_contain_no_unused_declaration(kind: str) -> None:
    """An unused declaration would cause a compiler warning."""
    repair = await build_estate(kind).require_only_fix()

    assert not re.search(r"^(var|param|output) ", repair.bicep, re.MULTILINE)
    assert not re.search(r"^(locals|variable|output) ", repair.terraform, re.MULTILINE)


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_commands_of_each_kind_need_no_extension(kind: str) -> None:
    """An Azure CLI extension would first have to be installed."""
    repair = await build_estate(kind).require_only_fix()

    assert "az extension add" not in repair.azure_cli


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_fix_uses_the_command_of_its_kind(kind: str) -> None:
    repair = await build_estate(kind).require_only_fix()

    assert f"az {load_firewall_case(kind).command} \\\n" in repair.azure_cli


async def test_rule_of_a_group_contains_one_service_tag() -> None:
    """Microsoft may change the addresses of a tag."""
    group = build_security_group(
        build_security_rule("flows", 4096, sourceAddressPrefix="LogicApps")
    )
    [gap, *_] = await (here := Estate({group["id"]: group})).find_issues()

    repair = await here.propose_fix(replace(gap, missing_tags=(WEST,)))

    assert repair.azure_cli == (
        "az network nsg rule create \\\n"
        "  --subscription s \\\n"
        "  --resource-group rg \\\n"
        "  --nsg-name edge \\\n"
        "  --name cmk-PPPlex.WestEurope \\\n"
        "  --priority 4095 \\\n"
        "  --direction Inbound \\\n"
        "  --access Allow \\\n"
        "  --protocol Tcp \\\n"
        "  --source-address-prefixes PowerPlatformPlex.WestEurope \\\n"
        "  --source-port-ranges '*' \\\n"
        "  --destination-port-ranges 443 \\\n"
        "  --destination-address-prefixes '*'"
    )


async def test_new_rule_precedes_rules_that_deny() -> None:
    group = build_security_group(
        build_security_rule("others", 101, access="Deny", sourceAddressPrefix="198.51.100.0/24"),
        build_security_rule("flows", 110, sourceAddressPrefix="LogicApps"),
        build_security_rule("nobody", 120, access="Deny"),
    )
    here = Estate({group["id"]: group})

    repair = await here.require_only_fix()
    here.deploy(repair.bicep)

    assert "--priority 119" in repair.azure_cli
    assert "--priority 118" in repair.azure_cli
    assert await here.find_issues() == []


async def test_group_without_a_free_priority_has_no_fix() -> None:
    refusing = build_security_rule("nobody", 101, access="Deny")
    first = build_security_rule("flows", 100, sourceAddressPrefix="LogicApps")
    group = build_security_group(first, refusing)

    repair = await Estate({group["id"]: group}).require_only_fix()

    assert repair.unavailable_reason == "priority_taken: no priority below 101 is free"
    assert (repair.azure_cli, repair.bicep, repair.added_entries) == ("", "", None)


async def test_fix_does_not_replace_a_rule_of_the_same_name() -> None:
    """Such a rule may contain changes of a person."""
    group = build_security_group(
        build_security_rule("flows", 100, sourceAddressPrefix="LogicApps"),
        build_security_rule("CMK-PPPlex.WestEurope", 200, access="Deny"),
    )

    repair = await Estate({group["id"]: group}).require_only_fix()

    assert (
        repair.unavailable_reason
        == "name_taken: edge has a different rule named cmk-PPPlex.WestEurope"
    )


async def test_new_rule_allows_only_the_destination_of_the_issue() -> None:
    asg = (
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/applicationSecurityGroups/a"
    )
    narrow = build_security_rule(
        "flows", 100, sourceAddressPrefix="LogicApps", destinationAddressPrefix="10.0.1.0/24"
    )
    members = build_security_rule("members", 101, sourceAddressPrefix="LogicApps")
    members["properties"].pop("destinationAddressPrefix")
    members["properties"]["destinationApplicationSecurityGroups"] = [{"id": asg}]
    group = build_security_group(narrow, members)
    here = Estate({group["id"]: group})

    for gap in await here.find_issues():
        here.deploy((await here.propose_fix(gap)).bicep)

    assert await here.find_issues() == []
    leads = [
        one["properties"].get("destinationAddressPrefix")
        for one in here.resources[group["id"].lower()]["properties"]["securityRules"]
    ]
    assert "*" not in leads


async def test_fix_changes_the_restrictions_that_apply_to_the_scm_site() -> None:
    app = build_site()
    for follows in (True, False):
        config = build_web_config(
            build_restriction("LogicApps", 100, tag="ServiceTag"),
            scmIpSecurityRestrictions=[build_restriction("LogicApps", 100, tag="ServiceTag")],
            scmIpSecurityRestrictionsUseMain=follows,
        )
        here = Estate(
            {app["id"]: app, f"{app['id']}/config/web": config},
            [f"{app['name']}.scm.azurewebsites.net"],
        )

        repair = await here.require_only_fix()
        here.deploy(repair.bicep)

        assert ("--scm-site true" in repair.azure_cli) is not follows
        assert await here.find_issues() == []


async def test_fix_of_a_function_app_uses_its_own_command_and_resource() -> None:
    """The Azure CLI and Terraform distinguish function apps from web apps."""
    app = build_site() | {"kind": "functionapp,linux"}
    config = build_web_config(build_restriction("LogicApps", 100, tag="ServiceTag"))

    repair = await Estate({app["id"]: app, f"{app['id']}/config/web": config}).require_only_fix()

    assert repair.azure_cli.startswith("az functionapp config access-restriction add")
    assert 'resource "azurerm_linux_function_app" "orders_api" {' in repair.terraform


@pytest.mark.parametrize(
    ("build", "there", "most"),
    [
        (
            lambda n: [
                key_vault.build_vault([{"value": f"198.51.{i // 256}.{i % 256}"} for i in range(n)])
            ],
            999,
            1000,
        ),
        (
            lambda n: [
                sql_server.RESOURCES.build_server(),
                *(
                    sql_server.RESOURCES.build_rule(f"r{i}", f"198.51.100.{i}", f"198.51.100.{i}")
                    for i in range(n)
                ),
            ],
            255,
            256,
        ),
    ],
)
async def test_full_list_has_no_fix(build: Any, there: int, most: int) -> None:
    repair = await Estate({one["id"]: one for one in build(there)}).require_only_fix()

    assert re.match(
        rf"full: \S+ has {there} of at most {most} rules, so \d+ more do not fit",
        repair.unavailable_reason,
    )


async def test_service_without_public_access_has_no_fix() -> None:
    """Rules have no effect while public access is off."""
    vault = key_vault.build_vault(publicNetworkAccess="Disabled")

    repair = await Estate({vault["id"]: vault}).require_only_fix()

    assert repair.unavailable_reason.startswith("closed: public access to kv-orders is off")


def build_azure_firewall(*more: Json, rules: Sequence[Json] | None = None) -> Estate:
    members = azure_firewall.build_ip_group("flows", "13.69.71.0/25")
    leading = azure_firewall.build_nat_rule("orders", sourceIpGroups=[members["id"]])
    nat = azure_firewall.build_collection("published", 100, *(rules or [leading]), action="Dnat")
    listed = [
        azure_firewall.build_firewall(),
        azure_firewall.build_policy(),
        azure_firewall.build_group("edge-policy", "inbound", 200, nat),
        azure_firewall.build_public_address(),
        members,
        *more,
    ]
    return Estate({one["id"]: one for one in listed})


async def test_ip_group_that_other_rules_use_is_not_extended() -> None:
    """Addresses in the existing group would also apply to its other rules."""
    used = azure_firewall.build_network_rule(
        "admins", sourceIpGroups=[azure_firewall.build_ip_group("flows")["id"]]
    )
    other = azure_firewall.build_group(
        "edge-policy", "inside", 300, azure_firewall.build_collection("inside", 100, used)
    )
    here = build_azure_firewall(other)
    gap = next(one for one in await here.find_issues() if one.part == azure_firewall.ADDRESS)

    repair = await here.propose_fix(gap)

    assert "\naz network ip-group create" in repair.azure_cli
    assert "--name cmk-orders \\\n  --rule-type NatRule" in repair.azure_cli
    assert "--translated-address 10.0.1.4" in repair.azure_cli
    assert repair.added_entries is None


async def test_ip_group_of_another_firewall_is_not_extended() -> None:
    """A policy that the app cannot read also uses the existing group."""
    here = build_azure_firewall()
    [group] = [one for one in here.resources.values() if one["type"].endswith("/ipGroups")]
    group["properties"]["firewallPolicies"] = [{"id": "/subscriptions/t/…/firewallPolicies/other"}]

    repair = await here.require_only_fix()

    assert "\naz network ip-group create" in repair.azure_cli


async def test_rule_with_addresses_gets_an_additional_rule_with_an_ip_group() -> None:
    here = build_azure_firewall(rules=[azure_firewall.build_nat_rule("orders", "13.69.71.0/25")])

    repair = await here.require_only_fix()

    assert "beside orders" in repair.summary
    assert "--name ip-group; az extension add --name azure-firewall\n" in repair.azure_cli
    named = re.findall(r"az extension add --name ([\w-]+)", repair.azure_cli)
    assert named == ["ip-group", "azure-firewall"]
    assert "--collection-name published" in repair.azure_cli
    assert "--policy-name edge-policy" in repair.azure_cli
    assert "--rule-collection-group-name inbound" in repair.azure_cli
    made, group = parse_resources(repair.bicep)
    assert AddressRanges.parse(made.properties["ipAddresses"]) == AddressRanges.parse(
        one for tag in (WEST, NORTH) for one in list_prefixes(TAGS, tag) if ":" not in one
    )
    [collection] = group.properties["ruleCollections"]
    [rule] = collection["rules"]
    assert (group.names, collection["name"]) == (("edge-policy", "inbound"), "published")
    assert (rule["translatedPort"], rule["sourceIpGroups"]) == ("8443", ["cmk_edge.id"])
    hcl2.loads(repair.terraform)


async def test_destination_that_a_prior_rule_denies_has_no_fix() -> None:
    """The first matching network rule decides."""
    rules = [
        azure_firewall.build_collection(
            "refused", 100, azure_firewall.build_network_rule("nobody", "*"), action="Deny"
        ),
        azure_firewall.build_collection(
            "inside", 200, azure_firewall.build_network_rule("flows", "13.69.71.0/25")
        ),
    ]
    listed = [
        azure_firewall.build_firewall(),
        azure_firewall.build_policy(),
        azure_firewall.build_group("edge-policy", "inside", 300, *rules),
        azure_firewall.build_public_address(),
    ]
    here = Estate({one["id"]: one for one in listed}, [None])
    kinds = build_firewall_kinds(build_fakes(here.world).ports.resources)
    [firewall] = [one for one in await kinds["azure_firewall"].read() if "10.0.2.0" in one.id]
    asked = {WEST: AddressRanges.parse(list_prefixes(TAGS, WEST))}
    gap = find_firewall_issue(
        firewall, evaluate_rules(firewall, RuleSources(TAGS, ["PowerPlatformPlex"])), asked
    )
    assert gap is not None

    repair = await here.propose_fix(gap)

    assert (
        repair.unavailable_reason
        == "denied_first: remove the addresses from nobody, which applies first"
    )
