"""The errors of this package, under the name that users import; `core/errors` defines them."""

from .core.errors import *  # noqa: F403
from .core.errors import __all__, __doc__  # noqa: F401
