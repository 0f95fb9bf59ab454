"""The wrappers by which a page finds what belongs to a living kernel; plain HTML without one."""

from __future__ import annotations

from .markup import Markup, tag

__all__ = ["render_mount", "render_place"]


def render_place(records: str, *, hub_id: str, place_id: str, version: int) -> str:
    """Wrap records so that the hub can draw their feet.

    Args:
        records: One or more sections of `render_record`.
        hub_id: Whose they are.
        place_id: The place.
        version: Grows with each update, so that a page that lost one can be told.
    """
    return tag(
        "div",
        "",
        Markup(records),
        classes="kling-place",
        data_kling_hub=hub_id,
        data_kling_place=place_id,
        data_kling_version=str(version),
    )


def render_mount(fallback: str, *, hub_id: str, model_id: str) -> str:
    """Wrap a saved form that a widget replaces while its kernel lives.

    Args:
        fallback: The saved form, as HTML.
        hub_id: The hub that shows the widget.
        model_id: The widget's model.
    """
    return tag(
        "div",
        "",
        Markup(fallback),
        classes="kling-mount",
        data_kling_hub=hub_id,
        data_kling_mount=model_id,
    )
