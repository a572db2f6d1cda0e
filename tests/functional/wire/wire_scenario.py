"""Run a remediation against a simulated tenant, over TLS and a proxy. The services, adapters and
identity libraries are those that run in Azure. The queues are in this process.
"""

import base64
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yarl

from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.self_starting import apply_effects_of_time
from local_cloud.tenant.flows.trigger_urls import build_callback
from local_cloud.tenant.seed.tenant import seed
from local_cloud.tenant.serving.server import TenantServer
from local_cloud.tenant.serving.sovereign_clouds import SovereignCloud
from shared.adapters.entra.identity import ServiceAccountCredential, ServiceAccountSettings
from shared.adapters.http import client as http_client
from shared.adapters.system_clock import SystemClock
from shared.bootstrap import build_services
from shared.domain.clouds import CLOUDS, PUBLIC, Cloud, CloudName
from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import (
    EnvironmentJob,
    Remediation,
    RemediationMode,
    StartSource,
)
from shared.domain.platform_errors import find_error_fix
from shared.services import Services
from shared.settings import Settings
from shared.use_cases import change_remediation
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from shared.use_cases.start_remediation import start_manual_remediation
from tests.contract.adapter_world import build_trusting_transport
from tests.fakes.driver import USE_CASES, NeverEndsError, UseCase, find_next_reminder
from tests.fakes.messages import Delivered, Delivery, FakeMessages
from tests.functional.wire.wire_seed import OPERATOR_CLIENT, ORDERS, SUBSCRIPTION
from tests.local_cloud.tenant.tenant_world import (
    APP_CLIENT,
    ENVIRONMENT,
    TENANT_ID,
)

#: Long enough for all that does not wait for days.
SHORT = timedelta(hours=1)
#: More deliveries than any scenario needs without time passing.
_MOST_AT_ONCE = 20_000
#: More calls a minute than any test makes.
PLENTY = 1_000_000
_BUS = "Endpoint=sb://localhost:9;SharedAccessKeyName=x;SharedAccessKey=eA==;UseDevelopmentEmulator=true;"


def build_cache_secret_url(cloud: Cloud = PUBLIC) -> str:
    return f"https://kv-cmk.{cloud.key_vault_domain}/secrets/operator-token-cache"


@dataclass(slots=True, kw_only=True)
class WireScenario:
    """A simulated tenant, the app's services that use it, and the app's queues."""

    tenant: Tenant
    server: TenantServer
    services: Services
    messages: FakeMessages
    session: aiohttp.ClientSession
    folder: Path
    #: Called after a remediation is started, before its first message is handled.
    between: Callable[[], object] = lambda: None
    #: The function that handles a message, by the queue.
    use_cases: Mapping[str, UseCase] = field(default_factory=lambda: USE_CASES)
    remediation: Remediation = field(init=False)

    # --- the tenant ---------------------------------------------------------------------------

    @property
    def platform(self) -> PowerPlatform:
        return self.tenant.get_part(PowerPlatform)

    @property
    def assumptions(self) -> Assumptions:
        """Return what the tenant assumes about the platform where Microsoft documents nothing."""
        return self.platform.assumptions

    @property
    def environment(self) -> SimulatedEnvironment:
        return self.platform.environments[ENVIRONMENT]

    def find_flow(self, flow_id: str = ORDERS) -> Flow:
        return self.environment.workflows[flow_id]

    def get_trigger_url(self, flow_id: str = ORDERS) -> str:
        return str(build_callback(self.environment, self.find_flow(flow_id))["value"])

    async def post(self, url: str) -> int:
        """Call a trigger URL as an external system does, and return the status."""
        proxy = self.server.proxy_url
        async with self.session.post(yarl.URL(url, encoded=True), json={}, proxy=proxy) as answer:
            return answer.status

    def find_leaked_signatures(self, *texts: str) -> list[str]:
        """Return the names of flows whose signature is in the app's state or in these texts."""
        state = b"".join(path.read_bytes() for path in self.folder.glob("state.db*"))
        seen = [*(text.encode() for text in texts), state]
        return [
            flow.display_name
            for flow in self.environment.order
            if any(flow.compute_signature().encode() in text for text in seen)
        ]

    # --- the app ------------------------------------------------------------------------------

    async def order(
        self,
        *flow_ids: str,
        mode: RemediationMode = RemediationMode.APPLY,
        run: timedelta = timedelta(days=40),
    ) -> None:
        """Start a remediation, by default of all flows, and let the app work for this time."""
        order = Remediation(
            created_at=self.services.now,
            mode=mode,
            start_source=StartSource.API_REQUEST,
            idempotency_key="order-1",
            environment_ids=tuple(self.platform.environments),
            flow_ids=flow_ids,
        )
        self.remediation = await start_manual_remediation(self.services, order)
        self.between()
        await self.run(run)

    async def retry(self, *, run: timedelta = timedelta(days=40)) -> None:
        await change_remediation.retry(self.services, self.remediation.id)
        await self.run(run)

    async def read_job(self, flow_id: str = ORDERS) -> FlowJob:
        return (await self.read_jobs())[flow_id]

    async def read_jobs(self, environment_id: str = ENVIRONMENT) -> dict[str, FlowJob]:
        """Return the flow jobs of an environment, by the Dataverse id of the original."""
        jobs = await self.services.tables.flow_jobs.read_all(environment_id)
        return {job.original.id: job for job in jobs}

    async def read_environment_job(self) -> EnvironmentJob:
        (job,) = await self.services.tables.environment_jobs.read_all(self.remediation.id)
        return job

    async def run(self, time: timedelta) -> None:
        """Let the app work for this time: handle each due message, and advance the clock."""
        until = self.services.now + time
        at_once = 0
        while at_once < _MOST_AT_ONCE:
            if await self.deliver():
                at_once += 1
                continue
            if self.services.now >= until:
                return
            at_once = 0
            await self._pass_time(until)
        raise NeverEndsError(f"{at_once} deliveries at one moment and still more")

    async def _pass_time(self, until: datetime) -> None:
        services = self.services
        reminded = await find_next_reminder(services.tables.store, services.now) or until
        due = min(self.messages.find_next_due(*self.use_cases) or until, until, reminded)
        self.tenant.clock.advance(max(0.0, (due - self.services.now).total_seconds()))
        await apply_effects_of_time(self.tenant)
        await send_due_and_overdue_messages(self.services)

    async def deliver(self) -> bool:
        """Handle one message that is due. Return False if there is none."""
        for queue, use_case in self.use_cases.items():

            async def handle(message: Delivered, use_case: Any = use_case) -> None:
                await use_case(self.services, message)

            outcome = await self.messages.deliver_next(queue, handle)
            if outcome is not Delivery.NOTHING_DUE:
                return True
        return False


#: Budgets of requests that are never used up.
WIDE = {
    "flow_service_requests_per_minute": PLENTY,
    "flow_service_requests_per_day": PLENTY,
    "dataverse_requests_per_minute": PLENTY,
    "resource_manager_requests_per_minute": PLENTY,
}


def build_settings(
    folder: Path, budgets: Mapping[str, Any] = WIDE, cloud: CloudName = CloudName.PUBLIC
) -> Settings:
    named: dict[str, Any] = {"ServiceBusConnection": _BUS, "CMK_CLOUD": cloud, **budgets}
    return Settings(
        tenant_id=TENANT_ID,
        subscription_ids=(SUBSCRIPTION,),
        client_id=APP_CLIENT,
        service_account_client_id=OPERATOR_CLIENT,
        service_account_token_cache_secret=build_cache_secret_url(CLOUDS[cloud]),
        state_folder=folder,
        archive_key=base64.urlsafe_b64encode(bytes(32)).decode(),
        **named,
    )


@asynccontextmanager
async def serve_wire_scenario(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    description: dict[str, Any],
    budgets: Mapping[str, Any] = WIDE,
    transport: Callable[[TenantServer], Any] = lambda server: build_trusting_transport(
        server.ca_file
    ),
    cloud: CloudName = CloudName.PUBLIC,
) -> AsyncIterator[WireScenario]:
    """Serve a tenant and yield the app's services for it. The service account is signed in, and the
    approval policy is automatic.
    """
    tenant = Tenant()
    seed(tenant, description)
    names = None if cloud is CloudName.PUBLIC else SovereignCloud(cloud)
    async with TenantServer(tenant, cloud=names) as server, AsyncExitStack() as closing:
        _point_at(monkeypatch, server)
        monkeypatch.setattr(http_client, "build_default_transport", lambda: transport(server))
        built = build_services(build_settings(folder, budgets, cloud), closing)
        messages = FakeMessages(built.clock)
        services = replace(built, messages=messages)
        trust = ssl.create_default_context(cafile=server.ca_file)
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust))
        await closing.enter_async_context(session)
        scenario = WireScenario(
            tenant=tenant,
            server=server,
            services=services,
            messages=messages,
            session=session,
            folder=folder,
        )
        await _sign_in(services)
        await _opt_in(services, tenant.get_part(PowerPlatform).environments)
        tenant.calls.reset()
        yield scenario


def _point_at(monkeypatch: pytest.MonkeyPatch, server: TenantServer) -> None:
    """Send all requests of the app to the tenant, and use the tenant's clock as the app's."""
    clock = server.tenant.clock
    monkeypatch.setenv("HTTPS_PROXY", server.proxy_url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_file)
    monkeypatch.setenv("IDENTITY_ENDPOINT", server.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", server.identity_header)
    monkeypatch.setattr(SystemClock, "now", lambda _: clock.now())

    async def sleep(_: SystemClock, time: timedelta) -> None:
        clock.advance(time.total_seconds())

    monkeypatch.setattr(SystemClock, "sleep", sleep)


async def _sign_in(services: Services) -> None:
    cloud = services.settings.cloud
    secrets = services.callers["key_vault_secret"]._secrets  # type: ignore[attr-defined]
    operator = ServiceAccountCredential(
        ServiceAccountSettings(
            tenant_id=TENANT_ID,
            client_id=OPERATOR_CLIENT,
            cache_secret=build_cache_secret_url(cloud),
            authority=cloud.authority_url,
        ),
        secrets,
    )
    await operator.sign_in(cloud.flow_service_scope, lambda _: None)


async def _opt_in(services: Services, environment_ids: Iterable[str]) -> None:
    for identity in environment_ids:
        row = EnvironmentSettings(
            environment_id=identity, approval_policy=ApprovalPolicy.AUTOMATIC, max_flows=PLENTY
        )
        await services.tables.environment_settings.upsert(row)


# --- what scenarios assert
# ------------------------------------------------------------------------


async def require_blocked(
    scenario: WireScenario, code: str, *names: str, flow_id: str = ORDERS
) -> FlowJob:
    """Require that the job is blocked with this code and its fix, and that its original is on.
    Return the job.
    """
    job = await scenario.read_job(flow_id)
    assert (job.state, job.reason_code) == (FlowJobState.BLOCKED, code), job
    assert job.fix == find_error_fix(code)
    for name in (job.display_name, *names):
        assert name in job.message
    assert scenario.find_flow(flow_id).state == SimulatedFlowState.STARTED
    return job


async def require_retired(scenario: WireScenario, flow_id: str = ORDERS) -> None:
    """Require that the job of an original is retired, and that its copy is on."""
    job = await scenario.read_job(flow_id)
    assert job.state is FlowJobState.RETIRED, job
    assert scenario.find_flow(job.copy.id).state == SimulatedFlowState.STARTED
