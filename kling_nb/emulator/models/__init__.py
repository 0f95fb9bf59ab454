"""The hosted models as the service's own pages describe them, one literal each.

Written from the API's documentation and not from the client's catalogue, so that the two do not
share a mistake. If a page does not specify a value, any value is accepted.
"""

from __future__ import annotations

from .fields import HostedModel
from .kling_2 import KLING_2_1, KLING_2_5, KLING_2_6
from .kling_3 import KLING_3, OMNI
from .motion_and_avatar import AVATARS, MOTION_CONTROL

__all__ = ["MODELS", "HostedModel"]

MODELS = {**KLING_2_6, **MOTION_CONTROL, **KLING_3, **OMNI, **KLING_2_5, **KLING_2_1, **AVATARS}
