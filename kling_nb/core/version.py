"""The version of this package; the build and the User-Agent read it here."""

from __future__ import annotations

__version__ = "0.1.0"
