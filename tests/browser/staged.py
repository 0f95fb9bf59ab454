"""Cards in every state, for the eye and for axe: in a kernel, without a service.

A staged job stands still in its state, so that its card can be judged at leisure. Runs inside the
kernel of the notebook that `states_notebook` writes.
"""

from __future__ import annotations

import tempfile
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kling_nb.core import job_state
from kling_nb.models.catalog import IMAGE_TO_VIDEO
from kling_nb.models.spec import MediaFacts, warnings_of
from kling_nb.storage.job_record import JobRecord
from tests.support import html_states
from tests.support.html_states import ALREADY, EVERY, FACTS, NOW, SAVED, name_of

from .stories import draw_picture, write_notebook

__all__ = ["STAGES", "StagedJob", "show", "states_notebook"]

STAGES: dict[str, job_state.JobState] = {name_of(state): state for state in EVERY} | {
    "Already": ALREADY,
    "Emulated": SAVED,
    "Warned": html_states.WAITING,
    "Slower": replace(html_states.WAITING, since=html_states.ago(400)),
}
"""What there is to show, by the name of its cell."""


WARNINGS = warnings_of(IMAGE_TO_VIDEO.advisories, MediaFacts(sizes_px={"image": [(900, 120)]}))


class StagedJob:
    """What a card needs to know of a job; nothing ever happens to it."""

    controller = None

    def __init__(self, record: JobRecord, state: job_state.JobState) -> None:
        self.record = record
        self.state = state
        self.id = record.id

    def observe(self, _take_in: Any) -> Any:
        """Never call the observer."""
        return lambda: None

    def done(self) -> bool:
        """Whether it has ended."""
        return job_state.has_ended(self.state)

    def detach(self) -> None:
        """A click on *Detach*: nothing."""


def show(name: str, shell: Any) -> None:
    """Display the card of a stage, as a cell does."""
    from kling_nb.display.cards.card import show_card

    number = list(STAGES).index(name)
    record = replace(
        FACTS,
        id=f"{FACTS.id[:-2]}{number:02d}",
        service="emulator" if name == "Emulated" else "live",
        thumbnail=thumbnail(),
        warnings=WARNINGS if name == "Warned" else (),
    )
    state = made_now(STAGES[name])
    if isinstance(state, job_state.Saved):
        state = replace(state, clip=real_clip(state.clip))
    show_card(StagedJob(made_now(record), state), shell)  # type: ignore[arg-type]


def made_now(value: Any) -> Any:
    """The same facts as if the moment of the literals were this one."""
    late: timedelta = datetime.now(UTC) - NOW
    moved = {
        field.name: getattr(value, field.name) + late
        for field in fields(value)
        if isinstance(getattr(value, field.name), datetime)
    }
    return replace(value, **moved)


def thumbnail() -> bytes:
    """A small picture of an evening."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "evening.jpg"
        draw_picture(file)
        with Image.open(file) as picture:
            picture.resize((320, 180)).save(file)
        return file.read_bytes()


def real_clip(facts: job_state.ClipFacts) -> job_state.ClipFacts:
    """A clip that plays, with the facts of the literal one."""
    import av
    import numpy

    file = Path(tempfile.gettempdir()) / f"kling_nb-staged-{facts.sha256[:8]}.mp4"
    if not file.exists():
        picture = file.with_suffix(".jpg")
        draw_picture(picture)
        from PIL import Image

        still = Image.open(picture)
        with av.open(str(file), "w") as movie:
            stream = movie.add_stream("h264", rate=8)
            stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
            for number in range(40):
                frame = numpy.roll(numpy.asarray(still), number * 4, axis=1)
                movie.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            movie.mux(stream.encode())
    return replace(facts, path=str(file), size_bytes=file.stat().st_size)


def states_notebook(path: Path) -> None:
    """A notebook with a heading and one cell for each stage, in the order of `STAGES`."""
    cells = [f"show({name!r}, get_ipython())" for name in STAGES]
    first = "from tests.browser.staged import show"
    write_notebook(path, [first, *cells], title="# A card in every state")
