"""The catalogue: one `ModelSpec` literal for each hosted model, with prices and their date.

Data only. Adding a model is adding a literal here and a sample request in `tests/samples/`.
"""

from __future__ import annotations

from collections.abc import Mapping

from kling_nb.models.spec import ModelSpec

from . import avatars, motion, omni, v3, v21, v25
from .v26 import IMAGE_TO_VIDEO, TEXT_TO_VIDEO

__all__ = ["CATALOGUE", "IMAGE_TO_VIDEO", "TEXT_TO_VIDEO"]

CATALOGUE: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        IMAGE_TO_VIDEO,
        TEXT_TO_VIDEO,
        motion.MOTION_2_6,
        v3.VIDEO,
        motion.MOTION_3_0,
        v3.TURBO_IMAGE,
        v3.TURBO_TEXT,
        omni.IMAGE,
        omni.TEXT,
        omni.REFERENCE,
        omni.TRANSFORMATION,
        v25.TURBO_IMAGE,
        v25.TURBO_TEXT,
        v21.MASTER_IMAGE,
        v21.MASTER_TEXT,
        v21.PRO,
        v21.STANDARD,
        avatars.STANDARD,
        avatars.PRO,
    )
}
"""By the service's name, in the order in which they are shown."""
