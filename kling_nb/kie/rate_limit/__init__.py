"""One rate budget for all kernels of an account on this machine.

`store` is the file that they share, `limiter` waits for a turn. A budget never stops a clip: waits
are bounded whatever a clock does, and the service's own answer wins. Requests and answers are not
known here.
"""

from __future__ import annotations

from .limiter import RateLimiter
from .store import Account

__all__ = ["Account", "RateLimiter"]
