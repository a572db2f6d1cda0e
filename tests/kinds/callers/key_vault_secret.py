"""A secret is the trigger URL, with a content type and tags that have to stay."""

from tests.kinds.case import CallerCase, seeded
from tests.twins.builder import Builder

CASE = CallerCase(
    add=Builder.secret_caller,
    remove=lambda build: build.world.secrets.clear(),
    add_on_the_wire=seeded,
    is_by_hand=False,
)
