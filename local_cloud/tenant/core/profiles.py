"""Define two profiles of the platform: as documented, and with the worst behaviour reported.

Each line is an assumption with its source. If sources disagree, `adversarial` contains the worse
behaviour. A seed names its profile, and its section `assumptions` overrides single values.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Profile(StrEnum):
    DOCUMENTED = "documented"
    ADVERSARIAL = "adversarial"


#: What a profile assumes otherwise than `Assumptions` does by itself.
PROFILES: Mapping[Profile, Mapping[str, Any]] = {
    Profile.DOCUMENTED: {},
    Profile.ADVERSARIAL: {
        # Microsoft's scripts know no `NotStarted` (platform.md#link-operation)
        "link_start_seconds": 5.0,
        "my_flows_have_rows": False,  # a row comes with the move (platform.md#rows-of-flows)
        "activation_changes_flow_name": True,  # platform.md#flow-name-changes
        "organization_changes_that_do_not_stick": 1,
        "activations_that_do_not_stick": 1,  # platform.md#reads-lag
        "read_lag_seconds": (0.5, 60.0),  # platform.md#reads-lag
        "list_lag_seconds": (30.0, 120.0),  # platform.md#reads-lag
        "list_seconds": 0.1,  # short here, for scenarios play in moved time
        "definitions_hidden_from_administrators": True,  # platform.md#hidden-definitions
        "older_host_shapes_refused": True,  # platform.md#connector-shapes
        "refused_saves_wipe_references": True,  # platform.md#rejected-saves
        "creates_stamp_references": True,  # platform.md#stamped-references
        "unpublished_row_seconds": 60.0,  # platform.md#unpublished-rows
        "global_flow_host_refuses": ("europe",),  # platform.md#regional-hosts
        "shares_let_people_ask": False,  # platform.md#share-effect
        "applications_activate": False,  # platform.md#application-activators
        "protected_url_form": "capacity_unit",  # platform.md#url-shapes
    },
}
