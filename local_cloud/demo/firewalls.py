"""Play the network administrator of *Operations* while Microsoft's address ranges change.

*Update prices* calls through an Azure Firewall and a network security group, which allow only the
current addresses. The app shows the smallest fix of each, and applies it on request. A third
firewall stays closed, and the issue of a fourth one is ignored.
"""

from typing import Any

from local_cloud.demo.app_client import AppRefusal
from local_cloud.demo.azure import EDGE_FIREWALL, RECEIPTS_GROUP
from local_cloud.demo.definitions import build_flow_id
from local_cloud.demo.scenario_context import APPROVER, ScenarioContext, ScenarioError
from local_cloud.demo.tenant import OPERATIONS

type Json = dict[str, Any]

#: The flow whose two firewalls are opened while the demo runs.
_PRICING = build_flow_id(OPERATIONS.name, "pricing")
_LABELS_GROUP = "nsg-labels"
#: The tag of another region than that of *Operations*, from which no flow calls.
_TAG = "PowerPlatformPlex.NorthEurope"
_NEW_RANGE = "20.105.64.0/26"
_NOT_YET = "write_not_visible"
_NO_ISSUE = "issue_not_found"


class Firewalls:
    def __init__(self, stage: ScenarioContext) -> None:
        self._stage = stage
        self._is_opened = False
        self._waived: set[str] = set()

    @property
    def needs_fixes(self) -> bool:
        pricing = self._stage.find_job(OPERATIONS, _PRICING)
        return pricing.get("reason_code") == "firewall_denies" and not self._is_opened

    async def fix_or_ignore_issues(self, identity: str) -> None:
        """Let the app fix the firewalls that block *Update prices*, and ignore another issue."""
        stage = self._stage
        if self.needs_fixes:
            self._is_opened = True
            for resource in (EDGE_FIREWALL, RECEIPTS_GROUP):
                await self._apply_fix(resource)
            await stage.app.post(f"remediations/{identity}/retry", {"flow_ids": [_PRICING]})
        for finding in stage.watcher.get_environment_job(identity, OPERATIONS.id)[
            "firewall_issues"
        ]:
            name = finding["name"]
            if _LABELS_GROUP in name.lower() and name not in self._waived:
                self._waived.add(name)
                reason = "Flows reach the printers over a private link."
                where = f"environments/{OPERATIONS.id}/ignored-issues"
                await stage.app.post(where, {"issue": name, "justification": reason})
                stage.note(
                    f"The firewall {_LABELS_GROUP} does not let copies in. The issue is ignored: "
                    "flows reach the printers another way."
                )

    async def refresh_service_tags(self) -> None:
        """Make the app read Microsoft's service tag list.

        The app compares the next list with this one.
        """
        await self._stage.app.post("network/service-tag-lists/refresh", {})

    async def change_service_tags(self) -> None:
        """Add a range to the service tag list, and let the app fix a firewall that denies it.

        Raises `ScenarioError` if the app does not report both the new range and this firewall.
        """
        stage = self._stage
        before = await stage.platform.read_service_tags()
        prefixes = next(
            one["properties"]["addressPrefixes"] for one in before["values"] if one["name"] == _TAG
        )
        changed = {"name": _TAG, "addressPrefixes": [*prefixes, _NEW_RANGE]}
        number = int(before["changeNumber"]) + 1
        more = {"serviceTags": [changed], "serviceTagsChangeNumber": number}
        await stage.platform.call_control("POST", "/azure/seed", more)
        edition = (await stage.app.post("network/service-tag-lists/refresh", {}))["items"][0]
        _require_reported(edition, _NEW_RANGE, EDGE_FIREWALL)
        flows = sum(plan["flow_count"] for plan in edition["affected_remediations"])
        names = ", ".join(one["name"] for one in edition["affected_firewalls"])
        stage.note(
            f"Microsoft's ranges have changed (list {edition['change_number']}): {_TAG} has "
            f"{_NEW_RANGE} more. Kept out by {names}; flows that call through them: {flows}."
        )
        await self._apply_fix(EDGE_FIREWALL)

    async def _apply_fix(self, resource: str) -> None:
        stage = self._stage
        where = {"resource": resource, "environment": OPERATIONS.id}
        try:
            shown = await stage.app.get("network/firewall-fixes", **where)
        except AppRefusal as refusal:
            # On a slow machine, the fix after the change of ranges has allowed the flow already.
            if refusal.problem.get("reason_code") != _NO_ISSUE:
                raise
            return
        for item in shown["items"]:
            command = item["azure_cli"].partition(" \\\n")[0]
            stage.note(f"Fix of {item['firewall']}: {item['summary']} ({command} …).")
        order = {**where, "requested_by": APPROVER}
        try:
            made = (await stage.app.post("network/firewall-fixes", order))["items"]
        except AppRefusal as refusal:
            if refusal.problem.get("reason_code") != _NOT_YET:
                raise
            made = (await stage.app.post("network/firewall-fixes", order))["items"]
        for one in made:
            stage.note(f"The app has opened {one['firewall']}, and read it back: {one['state']}.")


def _require_reported(edition: Json, prefix: str, firewall: str) -> None:
    added = {one for change in edition["changes"] for one in change["added"]}
    closed = [one["issue"] for one in edition["affected_firewalls"]]
    if prefix not in added or not any(firewall in gap for gap in closed):
        raise ScenarioError(f"the change of Microsoft's ranges is not reported: {edition}")
