"""A flow posts to the trigger URL in an action; on the wire a parent runs its child by id."""

from tests.kinds.case import CallerCase, seeded
from tests.twins.builder import Builder

CASE = CallerCase(
    add=Builder.flow_caller,
    remove=lambda build: build.environment.flows.clear(),
    add_on_the_wire=seeded,
    is_by_hand=False,
)
