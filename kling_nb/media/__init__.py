"""Images, video and audio: read, check, convert, probe and preview them.

Must not depend on jobs or the service. The only user of Pillow and PyAV besides the emulator's
renderer.

Read first: `inputs` (an input of a request), `images` and `audio_video` (reading and checking),
`clips` (reading and previewing results).

    from kling_nb.media.inputs import read_input
"""

from __future__ import annotations

__all__: list[str] = []
