"""What `lookup` promises: a model by its name or a part of it, and no guess where there are two."""

from __future__ import annotations

import pytest

from kling_nb.errors import InvalidInput
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO
from kling_nb.models.lookup import find_model


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_model_is_found_by_its_name(name: str) -> None:
    """What is written in full is that model, also where it is a part of another name."""
    assert find_model(name) is CATALOGUE[name]


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("3.0/video", "kling-3.0/video"),
        ("3.0/VIDEO ", "kling-3.0/video"),
        ("transformation", "kling-3.0-omni/transformation"),
        ("v2-1-pro", "kling/v2-1-pro"),
        ("2.6/motion", "kling-2.6/motion-control"),
        ("avatar-s", "kling/ai-avatar-standard"),
        ("master-text", "kling/v2-1-master-text-to-video"),
    ],
)
def test_a_part_of_the_name_will_do(part: str, name: str) -> None:
    """A tail or a part that only one model has, in any case."""
    assert find_model(part) is CATALOGUE[name]


@pytest.mark.parametrize(
    ("part", "candidates"),
    [
        ("motion-control", ["kling-2.6/motion-control", "kling-3.0/motion-control"]),
        ("avatar", ["kling/ai-avatar-standard", "kling/ai-avatar-pro"]),
        ("2.6", ["kling-2.6/image-to-video", "kling-2.6/text-to-video"]),
        ("image-to-video", ["kling-2.6/image-to-video", "kling-3.0-omni/image-to-video"]),
    ],
)
def test_two_candidates_are_no_guess(part: str, candidates: list[str]) -> None:
    """Models cost differently: where a part fits several, all are named and none is taken."""
    with pytest.raises(InvalidInput, match=r"matches [0-9]+ models") as caught:
        find_model(part)
    assert all(candidate in str(caught.value) for candidate in candidates)


def test_a_slip_names_the_nearest() -> None:
    """A model is spelt as the service spells it; one that is like nothing gets no guess."""
    with pytest.raises(InvalidInput, match=r"did you mean kling-2\.6/image-to-video\?"):
        find_model("kling-2.6/image-to-vidoe")
    for name in ("zzz", "", " "):
        with pytest.raises(InvalidInput) as caught:
            find_model(name)
        assert "did you mean" not in str(caught.value)
        assert IMAGE_TO_VIDEO.name in str(caught.value)
