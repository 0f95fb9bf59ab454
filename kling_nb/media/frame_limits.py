"""Check the sides, the shape, the area and the rate of a frame against a model's limits.

Pure: takes sizes, raises `MediaError`. The caller measures the file.
"""

from __future__ import annotations

from kling_nb.core.errors import MediaError
from kling_nb.models.parameters import Media


def check_frame(name: str, size_px: tuple[int, int], kind: Media, fps: float = 0.0) -> None:
    """Check an image, or a frame of a video, against the limits of the model.

    Args:
        name: The file, for the message.
        size_px: Width and height.
        kind: The limits of the model. Source: `ModelSpec`.
        fps: Frames per second, rounded here to a whole number: 23.976 counts as 24. 0 means
            unknown, which is not checked.

    Raises:
        MediaError: Says what was given, what is allowed and what to do.
    """
    width, height = size_px
    size = describe_size(name, size_px)
    shortest, longest = kind.side_px or (0, 0)
    shortest = max(shortest, kind.over_px + 1)
    if min(size_px) < shortest:
        raise MediaError(
            f"{size}; each side must have at least {shortest:,} px: give a larger one; this "
            "package does not enlarge it"
        )
    if longest and max(size_px) > longest:
        raise MediaError(f"{size}; each side may have at most {longest:,} px: scale it down")
    if kind.ratio is not None and not kind.ratio[0] <= width / height <= kind.ratio[1]:
        raise MediaError(
            f"{size}, width to height {width / height:.2f}; allowed are {kind.ratio[0]:g} to "
            f"{kind.ratio[1]:g}: crop it"
        )
    if kind.max_px and width * height > kind.max_px:
        raise MediaError(
            f"{size} are {width * height:,} px; allowed are at most {kind.max_px:,} px: scale it "
            "down"
        )
    if kind.fps is not None and fps and not kind.fps[0] <= round(fps) <= kind.fps[1]:
        raise MediaError(
            f"{name}: {fps:g} frames a second; allowed are {kind.fps[0]:g} to {kind.fps[1]:g}: "
            f"convert it, e.g. with `ffmpeg -i FILE -r {kind.fps[0]:g} converted.mp4`"
        )


def describe_size(name: str, size_px: tuple[int, int]) -> str:
    """Return `fox.png: 240×160 pixels`; the name of an image in memory has its size already."""
    width, height = size_px
    if name.endswith((f" {width}×{height}", f" {height}×{width}")):  # an array: rows, columns
        return f"{name} pixels"
    return f"{name}: {width:,}×{height:,} pixels"
