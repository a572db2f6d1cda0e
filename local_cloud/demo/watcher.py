"""Read the state of the tenant and the app, for the demo's picture and for the scenario."""

from typing import Any

from local_cloud.demo.app_client import App
from local_cloud.demo.platform import Platform
from local_cloud.demo.progress import DemoProgress, EnvironmentLine
from local_cloud.demo.traffic import USER_AGENT, Traffic

type Json = dict[str, Any]


class Watcher:
    def __init__(
        self, app: App, platform: Platform, traffic: Traffic, environments: dict[str, str]
    ) -> None:
        self._app = app
        self._platform = platform
        self._traffic = traffic
        self._environments = environments
        self.progress = DemoProgress(account=traffic.account)
        #: The last read remediations with their jobs, newest first.
        self.remediations: list[Json] = []

    def summarize_state(self) -> object:
        """Return the last observed states of jobs and environments.

        As long as the result stays equal, the scenario makes no progress.
        """
        jobs = {key: (job["state"], job["step"]) for key, job in self.progress.jobs.items()}
        states = [job["state"] for each in self.remediations for job in each["environment_jobs"]]
        return jobs, states, list(self.progress.environments)

    async def refresh_state(self) -> None:
        await self._refresh_environments()
        listed = (await self._app.get("remediations"))["items"]
        ids = [line["remediation"]["id"] for line in listed]
        self.remediations = [await self._app.get(f"remediations/{one}") for one in ids]
        for detail in self.remediations:
            for job in detail["flow_jobs"]:
                self.progress.jobs[job["environment_id"], job["original_id"]] = job
        self.progress.losses = self._traffic.account.list_losses(USER_AGENT)

    async def _refresh_environments(self) -> None:
        lines = []
        for identity, name in self._environments.items():
            found = await self._platform.call_control("GET", f"/environments/{identity}")
            lines.append(
                EnvironmentLine(
                    name=name,
                    link_status=found["linkStatus"] or "not linked",
                    flows=found["flows"],
                    protected=found["protectedFlows"],
                    is_migrating=found["isMigrating"],
                )
            )
        self.progress.environments = lines

    def find_remediation(self, start_source: str, environment: str) -> Json | None:
        """Return an environment's newest `apply` remediation with this start source, or None."""
        for detail in self.remediations:
            remediation = detail["remediation"]
            if (
                remediation["start_source"] == start_source
                and remediation["mode"] == "apply"
                and environment in remediation["environment_ids"]
            ):
                return detail
        return None

    def get_remediation(self, remediation_id: str) -> Json:
        """Return a remediation with its jobs and deletions.

        Raises `KeyError` if it was not observed.
        """
        for detail in self.remediations:
            if detail["remediation"]["id"] == remediation_id:
                return detail
        raise KeyError(remediation_id)

    def get_environment_job(self, remediation_id: str, environment: str) -> Json:
        """Return the job of an environment in a remediation. Raises `KeyError` if there is none."""
        for job in self.get_remediation(remediation_id)["environment_jobs"]:
            if job["environment_id"] == environment:
                found: Json = job
                return found
        raise KeyError(remediation_id)
