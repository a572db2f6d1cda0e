"""Read environments from the admin API of Power Platform (BAP).

See platform.md#environment-list.
"""

from datetime import datetime, timedelta

from pydantic import Field, field_validator

from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest, parse_object
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.clouds import Cloud
from shared.domain.environment import Environment, PolicyLink, PolicyLinkStatus
from shared.domain.trigger_urls.trigger_url import redact
from shared.ports import Clock, Environments

_PATH = "providers/Microsoft.BusinessAppPlatform/scopes/admin/environments"
_VERSION = {"api-version": "2023-06-01"}
#: How long jobs use a cached environment. Linking an environment to a policy takes
#: longer, and the timer that detects either runs every five minutes.
_LATELY = timedelta(minutes=1)


class _LinkedPolicy(Wire):
    id: str
    system_id: str
    link_status: PolicyLinkStatus


class _Policies(Wire):
    customer_managed_keys: _LinkedPolicy | None = Field(None, alias="customermanagedkeys")


class _Dataverse(Wire):
    instance_api_url: str | None = None


class _State(Wire):
    id: str = ""


class _States(Wire):
    runtime: _State = _State()


class _Governance(Wire):
    protection_level: str = ""


class _Properties(Wire):
    display_name: str = ""
    azure_region: str = ""
    runtime_endpoints: dict[str, str] = Field(default_factory=dict)
    environment_sku: str = ""
    linked_environment_metadata: _Dataverse | None = None
    states: _States = _States()
    governance_configuration: _Governance = _Governance()
    enterprise_policies: _Policies = _Policies()

    @field_validator("enterprise_policies", mode="before")
    @classmethod
    def _lower_keys(cls, value: object) -> object:
        """Convert the keys to lower case, because Microsoft's scripts ignore their case.

        See platform.md#property-case.
        """
        return {k.lower(): v for k, v in value.items()} if isinstance(value, dict) else {}


class EnvironmentEntity(Wire):
    """An item of the environment list."""

    name: str
    location: str = ""
    properties: _Properties

    def to_domain(self) -> Environment:
        """Return the environment as a domain object."""
        properties = self.properties
        dataverse = properties.linked_environment_metadata
        url = dataverse.instance_api_url if dataverse else None
        policy = properties.enterprise_policies.customer_managed_keys
        level = properties.governance_configuration.protection_level.lower()
        return Environment(
            id=self.name,
            display_name=redact(properties.display_name),
            geography=self.location.lower(),
            region=properties.azure_region.lower(),
            sku=properties.environment_sku,
            # `Basic` is the level of all environments that are not managed.
            is_managed=level != "basic" if level else None,
            is_enabled=properties.states.runtime.id.lower() != "disabled",
            policy=PolicyLink(
                policy_id=policy.id.lower(),
                system_id=policy.system_id,
                status=policy.link_status,
            )
            if policy
            else None,
            dataverse_url=url.rstrip("/") if url else None,
        )


class PowerPlatformAdmin(Environments):
    """Implements the port `Environments` with the admin API."""

    def __init__(self, http: HttpClient, service: HttpService, clock: Clock, cloud: Cloud) -> None:
        """`service` has the audience of Power Apps."""
        self._url = f"https://{cloud.power_platform_admin_host}/{_PATH}"
        self._http = http
        self._service = service
        self._clock = clock
        #: By id, with the time of the last request.
        self._read: dict[str, tuple[datetime, Environment]] = {}
        #: Environment id → last read URL of its flow service.
        self._flow_endpoints: dict[str, str] = {}

    async def list(self) -> list[Environment]:
        call = ServiceRequest(method="GET", url=self._url, params=_VERSION)
        return [
            self._convert_and_cache_endpoint(parse_wire(EnvironmentEntity, item))
            async for item in self._http.read_items(self._service, call)
        ]

    async def get(self, environment_id: str) -> Environment:
        call, asked = f"{self._url}/{environment_id}", self._clock.now()
        answer = await self._http.send(
            self._service, ServiceRequest(method="GET", url=call, params=_VERSION)
        )
        found = self._convert_and_cache_endpoint(
            parse_wire(EnvironmentEntity, parse_object(self._service, answer))
        )
        self._read[environment_id] = asked, found
        return found

    async def get_cached(self, environment_id: str) -> Environment:
        asked, known = self._read.get(environment_id, (None, None))
        if asked and known and self._clock.now() - asked < _LATELY:
            return known
        return await self.get(environment_id)

    async def read_flow_endpoint(self, environment_id: str) -> str:
        """Return the URL of the flow service for an environment, or "" if the platform names none.

        Reads the environment only if it was not read before. See platform.md#regional-hosts.
        """
        key = environment_id.lower()
        if key not in self._flow_endpoints:
            await self.get(environment_id)
        return self._flow_endpoints.get(key, "")

    def _convert_and_cache_endpoint(self, entity: EnvironmentEntity) -> Environment:
        endpoint = entity.properties.runtime_endpoints.get("microsoft.Flow", "")
        self._flow_endpoints[entity.name.lower()] = endpoint
        return entity.to_domain()
