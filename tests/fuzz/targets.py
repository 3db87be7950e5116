"""All targets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.fuzz.cluster_targets import CLUSTER_TARGETS
from tests.fuzz.control_targets import CONTROL_TARGETS
from tests.fuzz.database_target import DATABASE_TARGETS
from tests.fuzz.link_targets import LINK_TARGETS
from tests.fuzz.record_targets import RECORD_TARGETS
from tests.fuzz.store_targets import STORE_TARGETS
from tests.fuzz.text_targets import TEXT_TARGETS
from tests.fuzz.trust_targets import TRUST_TARGETS
from tests.fuzz.wire_targets import WIRE_TARGETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fuzz.target import Target

TARGETS: Final[Mapping[str, Target]] = {
    target.name: target
    for target in (
        *WIRE_TARGETS,
        *LINK_TARGETS,
        *CLUSTER_TARGETS,
        *CONTROL_TARGETS,
        *TEXT_TARGETS,
        *TRUST_TARGETS,
        *STORE_TARGETS,
        *RECORD_TARGETS,
        *DATABASE_TARGETS,
    )
}
