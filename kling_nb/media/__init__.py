"""Images, video and audio: read, check, convert, probe and preview them.

The only package that uses Pillow and PyAV, beside the renderer of the emulator.
"""

from __future__ import annotations

__all__: list[str] = []
