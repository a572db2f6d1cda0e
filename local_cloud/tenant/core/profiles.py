"""Two platforms to be played on: one as its documents have it, one as those fear it who use it.

Each line is an assumption and the paragraph of the contract that it is from. Where sources
disagree, `feared` takes the worse word. A seed names its profile; its own `assumptions` come after.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Profile(StrEnum):
    """How hard the platform makes it."""

    DOCUMENTED = "documented"
    FEARED = "feared"


#: What a profile assumes otherwise than `Assumptions` does by itself.
PROFILES: Mapping[Profile, Mapping[str, Any]] = {
    Profile.DOCUMENTED: {},
    Profile.FEARED: {
        "link_start_seconds": 5.0,  # §2.3 knows a `NotStarted`, Microsoft's scripts do not
        "my_flows_have_rows": False,  # §15.2: a row comes with the move into a solution
        "activation_changes_flow_name": True,  # §15.2, §6.1
        "activations_that_do_not_stick": 1,  # §15.2, §6.1
        "read_lag_seconds": (0.5, 60.0),  # §15.2: what was answered and what is read disagree
        "list_lag_seconds": (30.0, 120.0),  # §15.2, §5.2
        "list_seconds": 0.1,  # §12: short here, for stories play in moved time
        "definitions_hidden_from_administrators": True,  # §15.2, §5.3
        "older_host_shapes_refused": True,  # §5.6
        "refused_saves_wipe_references": True,  # §16.1
        "creates_stamp_references": True,  # §16.1
        "unpublished_row_seconds": 60.0,  # §16.1
        "global_flow_host_refuses": ("europe",),  # §15.1: `MacroRegionDerivationFailed`
        "shares_let_people_ask": False,  # §5.5, §6.4: no source says that they do
        "applications_activate": False,  # §15.3: `MissingUserDetails`
        "protected_url_form": "capacity_unit",  # §7.2
    },
}
