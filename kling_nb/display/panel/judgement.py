"""What the one validator says of a form that is half filled in: what is fine, and what is not.

Judges nothing by itself. Knows no field and no widget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kling_nb.core.errors import InvalidInput, Problem
from kling_nb.models.implied import Told, Unsent
from kling_nb.models.spec import ModelSpec, Values, judge_lengths, validate

__all__ = ["check"]


def check(
    spec: ModelSpec, values: Values, lengths_s: Mapping[str, float] | None = None
) -> tuple[dict[str, object], tuple[Problem, ...]]:
    """The values that are allowed, and the problems of all others.

    Args:
        spec: The model.
        values: What was given.
        lengths_s: How long the videos and sounds are that were read, by parameter.
    """
    try:
        allowed = validate(spec, values)
        return allowed, tuple(judge_lengths(spec, allowed, lengths_s or {}))
    except InvalidInput as invalid:
        bad = {problem.field for problem in invalid.problems}
        kept = tuple(p for p in spec.parameters if p.name not in bad)
        implied = tuple(
            e for e in spec.implied if isinstance(e, Told | Unsent) or e.field not in bad
        )
        fine: Mapping[str, object] = {n: value for n, value in values.items() if n not in bad}
        # Without its rules, which may be about a field that is left out here.
        allowed = validate(replace(spec, parameters=kept, rules=(), implied=implied), fine)
        known = {n: length_s for n, length_s in (lengths_s or {}).items() if n in allowed}
        long = [p for p in judge_lengths(spec, allowed, known) if p.field in known]
        return allowed, (*invalid.problems, *long)
