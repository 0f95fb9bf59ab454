"""Rate limits shared by all kernels of an account on this machine.

`store` is the shared file, `limiter` waits for a free slot. A rate limit never blocks a clip: waits
are bounded whatever the clock does. Must not depend on the content of requests and answers.
"""

from __future__ import annotations

from .limiter import RateLimiter
from .store import Account

__all__ = ["Account", "RateLimiter"]
