"""The errors of this package, under the name that users import. Defined in `core/errors`."""

from .core.errors import *  # noqa: F403
from .core.errors import __all__ as __all__
