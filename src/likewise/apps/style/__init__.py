"""A picture in the style of others."""

from likewise.apps.style.judge import Judge, Targets
from likewise.apps.style.options import Moment, Styled, StyleOptions
from likewise.apps.style.sizes import sizes_of, steps_of
from likewise.apps.style.stylise import stylise

__all__ = ["Judge", "Moment", "StyleOptions", "Styled", "Targets", "sizes_of", "steps_of", "stylise"]
