"""What an assessment is made of: what the platform told of one environment, and what it did not.

A question without an answer is a `NoAnswer`, so that no rule can take silence for a good sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.environment import Environment
from shared.domain.keys.key import EnterprisePolicy, KeySnapshot
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.plans.flow_facts import FlowFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """The platform did not say."""

    #: For people; without any secret.
    why: str
    #: The service has no time: it would say so of the next question too.
    is_busy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One connection of an environment (platform.md#connection-list)."""

    name: str
    #: `shared_office365`.
    connector: str
    display_name: str
    #: Who made it, as the platform names them; empty: not shown.
    owner: str
    #: Whether it signs in by OAuth, which the key covers; None: the connector does not tell.
    uses_oauth: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvasApp:
    """One canvas app that uses flows (platform.md#canvas-apps)."""

    name: str
    display_name: str
    owner: str
    #: Lower-case ids that stand where the app names its flows, among others.
    flow_ids: frozenset[str]
    #: Why the ids may not be all; empty: they are.
    gap: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrosoftKeyLists:
    """The platform's own two lists (platform.md#microsoft-key-list), by lower-case workflow id."""

    #: All flows on Microsoft's key.
    on_microsoft_key: frozenset[str]
    #: Those of them that will stay there.
    staying: frozenset[str]
    #: How many are on it and could move.
    movable: int
    #: Whether every listed flow is one of those that were read; else who is not listed may be.
    is_joined: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSnapshot:
    """What is known of one environment."""

    at: datetime
    environment: Environment
    #: Every environment of the tenant that is under a customer-managed key.
    keyed_environments: int
    #: The policy that is, or is to be, applied; None: none was named, or it lies elsewhere.
    policy: EnterprisePolicy | NoAnswer | None
    #: Its key; None: there is no policy whose key could be looked at.
    key: KeySnapshot | NoAnswer | None
    #: By workflow id.
    flows: Mapping[str, FlowFacts] | NoAnswer
    reports: MicrosoftKeyLists | NoAnswer
    #: Differences between the sources, in words.
    differences: tuple[str, ...]
    connections: tuple[Connection, ...] | NoAnswer
    canvas_apps: tuple[CanvasApp, ...] | NoAnswer
    #: Titles of hosted machine groups.
    hosted_machine_groups: tuple[str, ...] | NoAnswer
    #: `enableflowsinsolutionbydefault`.
    creates_flows_in_solutions: bool | NoAnswer
    #: Firewalls that would refuse the flows' calls from the new addresses, and hosts of others.
    network_gaps: tuple[FirewallIssue, ...] | NoAnswer
    #: When the app first saw the environment linked; None: it has not, or does not know.
    linked_since: datetime | None

    @property
    def has_all_flows(self) -> bool:
        """Say whether what no flow shows may be called absent: every listed flow was read."""
        if isinstance(self.flows, NoAnswer):
            return False
        return isinstance(self.reports, NoAnswer) or self.reports.is_joined
