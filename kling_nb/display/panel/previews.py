"""What a person is shown of a chosen file: how the service will get it.

Reads and fetches, beside the kernel. What is wrong with a file is a `MediaError`; beside which
field it stands is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kling_nb.core.errors import MediaError
from kling_nb.core.formatting import one_line
from kling_nb.core.stored_input import Negative
from kling_nb.display.html.markup import data_uri
from kling_nb.jobs.background_loop import in_thread
from kling_nb.kie.http import Fetcher
from kling_nb.media import input_store as negatives
from kling_nb.media.audio_video import Footage
from kling_nb.media.images import Picture, shrink
from kling_nb.media.inputs import Attachment, read_attachment
from kling_nb.models.kinds import Media

from .chosen import Chosen, Surroundings, is_url, name_of, path_beside

__all__ = ["Preview", "preview"]

_ALONE_PX = (640, 360)
_ALONE_BYTES = 60_000
"""Of a picture that stands alone: as wide as its column, on a screen of twice the pixels too."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a file, and what is held of it from now on."""

    chosen: Chosen
    src: str = ""
    facts: str = ""
    how: str = ""
    """What happens to it on its way to the service."""
    length_s: float | None = None
    """Of a video or a sound."""
    size_px: tuple[int, int] | None = None
    """Width and height; None for a sound, or if the file was not read."""

    @property
    def words(self) -> dict[str, str]:
        """For the page."""
        name = name_of(self.chosen)
        return {"src": self.src, "name": name, "facts": self.facts, "how": self.how}


async def preview(chosen: Chosen, kind: Media, around: Surroundings) -> Preview:
    """Read a file as it would be sent.

    Raises:
        MediaError: It cannot be read, or is not what the service takes.
    """
    given = chosen.value
    if is_url(given):
        try:
            given = await _fetch(str(given), kind.max_bytes)
        except MediaError as error:
            if not around.is_emulated():
                raise
            why = str(error).rstrip(".")
            return Preview(chosen, how=f"{why}. The emulator draws one in its place.")
    read = await in_thread(read_attachment, given, kind, chosen.name)
    if isinstance(chosen.value, bytes):
        chosen = await in_thread(_keep, chosen, chosen.value, read, around)
    shown = _preview_of(read, chosen)
    if isinstance(read, Picture) and kind.max_count == 1:
        still = await in_thread(shrink, read.content, _ALONE_PX, max_bytes=_ALONE_BYTES)
        return replace(shown, src=data_uri(still))
    return shown


def _keep(chosen: Chosen, content: bytes, read: Attachment, around: Surroundings) -> Chosen:
    """A file that came from a page, as one of the folder: so that its cell can name it."""
    path = negatives.keep(around.folder(), content, "" if read.is_converted else read.mime_type)
    if not path:
        return chosen
    kept = Negative(read.source_sha256, chosen.name or read.name, read.mime_type, path)
    return replace(chosen, value=kept, written=path_beside(path))


async def _fetch(url: str, max_bytes: int) -> bytes:
    fetcher = Fetcher()
    try:
        return (await fetcher.fetch(url, max_bytes)).content
    finally:
        await fetcher.aclose()


def _preview_of(read: Attachment, chosen: Chosen) -> Preview:
    kind = read.mime_type.partition("/")[2].upper()
    return Preview(
        replace(chosen, name=one_line(read.name, 80) or chosen.name),
        src=data_uri(read.thumbnail) if read.thumbnail else "",
        facts=read.facts,
        how=_how(read, kind),
        length_s=read.length_s if isinstance(read, Footage) else None,
        size_px=(read.width_px, read.height_px) if read.width_px else None,
    )


def _how(read: Attachment, kind: str) -> str:
    """Return how the file is changed before the upload."""
    if read.sha256 == read.source_sha256:
        return "sent as it is"
    return (
        f"converted to {kind} for the service"
        if read.is_converted
        else ("sent without its metadata")
    )
