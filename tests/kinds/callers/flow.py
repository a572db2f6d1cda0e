"""A flow posts to the trigger URL in an action; on the wire a parent runs its child by id."""

from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase, seeded

CASE = CallerCase(
    add=Builder.flow_caller,
    remove=lambda build: build.environment.flows.clear(),
    add_on_the_wire=seeded,
    is_by_hand=False,
)
