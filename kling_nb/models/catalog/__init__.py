"""The catalogue: one `ModelSpec` literal for each hosted model, with prices and their date.

Data only. To add a model, add a literal here and a sample request in `tests/samples/`.
"""

from __future__ import annotations

from collections.abc import Mapping

from kling_nb.models.spec import ModelSpec

from . import kling_2, kling_3, motion_and_avatar
from .kling_2 import IMAGE_TO_VIDEO, TEXT_TO_VIDEO

__all__ = ["CATALOGUE", "IMAGE_TO_VIDEO", "TEXT_TO_VIDEO"]

CATALOGUE: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        IMAGE_TO_VIDEO,
        TEXT_TO_VIDEO,
        motion_and_avatar.MOTION_2_6,
        kling_3.VIDEO,
        motion_and_avatar.MOTION_3_0,
        kling_3.TURBO_IMAGE,
        kling_3.TURBO_TEXT,
        kling_3.OMNI_IMAGE,
        kling_3.OMNI_TEXT,
        kling_3.OMNI_REFERENCE,
        kling_3.OMNI_TRANSFORMATION,
        kling_2.TURBO_IMAGE,
        kling_2.TURBO_TEXT,
        kling_2.MASTER_IMAGE,
        kling_2.MASTER_TEXT,
        kling_2.PRO,
        kling_2.STANDARD,
        motion_and_avatar.AVATAR_STANDARD,
        motion_and_avatar.AVATAR_PRO,
    )
}
"""By the service's name, in display order."""
