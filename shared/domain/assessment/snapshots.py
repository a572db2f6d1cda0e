"""Define the facts that an assessment uses.

An unanswered question is a `NoAnswer`, so that no rule takes a missing answer for a good one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.environment import Environment
from shared.domain.keys.key import EnterprisePolicy, KeySnapshot
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.plans.flow_facts import FlowFacts
from shared.domain.power_apps import CanvasApp, Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """A question that the platform did not answer."""

    #: Why, for people; holds no secret.
    message: str
    #: The service is too busy, so the next question would fail too.
    is_throttled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrosoftKeyLists:
    """The flows on the platform's two Microsoft-key lists, as lower-case workflow ids.

    See platform.md#microsoft-key-list.
    """

    #: All flows on Microsoft's key.
    on_microsoft_key: frozenset[str]
    #: Those that the platform will not move.
    not_movable: frozenset[str]
    #: How many flows the platform can still move.
    movable: int
    #: Whether every listed flow was also read from Dataverse. If not, a flow that is not listed may
    #: still stay.
    is_matched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSnapshot:
    """The facts about one environment."""

    read_at: datetime
    environment: Environment
    #: The number of the tenant's environments on a customer-managed key.
    keyed_environments: int
    #: The policy that is applied or proposed; None: none was named, or its subscription is not
    #: read.
    policy: EnterprisePolicy | NoAnswer | None
    #: The policy's key; None: there is no policy to read it from.
    key: KeySnapshot | NoAnswer | None
    #: By workflow id.
    flows: Mapping[str, FlowFacts] | NoAnswer
    microsoft_key_lists: MicrosoftKeyLists | NoAnswer
    #: Differences between the sources, one sentence each.
    differences: tuple[str, ...]
    connections: tuple[Connection, ...] | NoAnswer
    canvas_apps: tuple[CanvasApp, ...] | NoAnswer
    #: Names of the hosted machine groups.
    hosted_machine_groups: tuple[str, ...] | NoAnswer
    #: The organization setting `enableflowsinsolutionbydefault`.
    creates_flows_in_solutions: bool | NoAnswer
    #: Firewalls that would deny the flows' new addresses, and hosts behind firewalls that the app
    #: cannot read.
    firewall_issues: tuple[FirewallIssue, ...] | NoAnswer
    #: When the app first read the environment as linked; None: unknown.
    linked_at: datetime | None

    @property
    def has_all_flows(self) -> bool:
        """Return whether the app has read all flows of the environment, as far as the Microsoft-key
        lists show.
        """
        if isinstance(self.flows, NoAnswer):
            return False
        return isinstance(self.microsoft_key_lists, NoAnswer) or self.microsoft_key_lists.is_matched
