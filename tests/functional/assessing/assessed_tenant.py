from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.domain.assessment.assessment import AssessedFlow, AssessmentTopic, EnvironmentAssessment
from shared.domain.finding import Finding
from shared.services import Services
from shared.use_cases.assess import assess_environment
from tests.fakes.builder import Builder
from tests.fakes.ports import Fakes, build_fakes
from tests.fakes.services import build_fake_services
from tests.fakes.world import World


@dataclass(slots=True)
class Assessed:
    world: World = field(default_factory=World)
    build: Builder = field(init=False)
    fakes: Fakes = field(init=False)
    found: EnvironmentAssessment = field(init=False)

    def __post_init__(self) -> None:
        self.build = Builder(self.world)
        self.fakes = build_fakes(self.world)

    @property
    def services(self) -> Services:
        return build_fake_services(self.fakes.ports)

    async def assess(self, services: Services | None = None, **options: Any) -> None:
        there = services or self.services
        self.found = await assess_environment(there, self.build.environment.id, **options)

    @property
    def flows(self) -> Mapping[str, AssessedFlow]:
        return {flow.display_name: flow for flow in self.found.flows}

    def list_findings(self, topic: AssessmentTopic, code: str = "") -> list[Finding]:
        (section,) = (one for one in self.found.sections if one.topic is topic)
        return [one for one in section.findings if code in {"", one.code}]

    def require_finding(self, topic: AssessmentTopic, code: str) -> Finding:
        (one,) = self.list_findings(topic, code)
        return one
