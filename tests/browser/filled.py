"""Panels that are filled in: every kind of field with something in it, for the eye and for axe.

Gives the cells of a notebook; runs nothing.
"""

from __future__ import annotations

from .stories import setup

__all__ = ["FILLED", "filled_panel"]

FILES = """\
import av, numpy, wave
from PIL import Image

still = numpy.asarray(Image.open("lake.png").convert("RGB"))
for colour in ("teal", "tomato"):
    Image.new("RGB", (480, 480), colour).save(f"{colour}.png")
with av.open("dance.mp4", "w") as movie:
    stream = movie.add_stream("libx264", rate=8)
    stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
    for number in range(32):
        frame = numpy.roll(still, number * 4, axis=1)
        movie.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
    movie.mux(stream.encode())
with wave.open("speech.wav", "wb") as sound:
    sound.setparams((1, 2, 8000, 0, "NONE", ""))
    sound.writeframes(bytes(2 * 8000 * 6));
"""
"""A picture, a video and a sound beside the notebook's own picture."""

FILLED = {
    "shots": """\
panel = kling.panel(
    "kling-3.0/video",
    image="lake.png",
    shots=[
        {"prompt": "A red fox steps out of the fog", "duration": 3},
        {"prompt": "It shakes the snow off its coat, slow push-in", "duration": 4},
    ],
    elements=[
        {"name": "fox", "description": "a red fox with one white ear",
         "images": ["lake.png", "tomato.png"]},
    ],
)
panel""",
    "frames": """\
panel = kling.panel("kling-3.0/video", prompt="a stage", image=["lake.png", "teal.png"])
panel""",
    "warned": """\
Image.new("RGB", (900, 120), "teal").save("banner.png")
panel = kling.panel(prompt="Mist rises from the lake", image="banner.png")
panel""",
    "motion": """\
panel = kling.panel(
    "kling-2.6/motion-control", prompt="a stage", image="lake.png", video="dance.mp4"
)
panel""",
    "avatar": """\
panel = kling.panel("kling/ai-avatar-standard", prompt="calm", image="lake.png", audio="speech.wav")
panel""",
    "faults": """\
panel = kling.panel(
    "kling-3.0/video",
    shots=[{"prompt": "A red fox steps out of the fog", "duration": 3}],
)
rows = panel._form._fields["shots"]
rows._add()
rows.fields[2].control.value = "x" * 501
rows.fields[3].control.value = 40
panel._form._fields["elements"]._add()
panel._form._fields["elements"].fields[2].control.value = "nowhere.png"
panel""",
}
"""What there is to show, by its name: the code of a cell whose output is the panel."""


def filled_panel(name: str) -> list[str]:
    """The cells of a notebook whose last output is that panel."""
    return [f"{setup(2)}\n{FILES}", FILLED[name]]
