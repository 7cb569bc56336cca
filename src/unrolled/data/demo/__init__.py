"""The embedded corpus: a seeded generator of film reviews that knows what every word truly does."""

from unrolled.data.demo.generator import generate_demo
from unrolled.data.demo.plan import Recipe
from unrolled.data.demo.truth import ROLES, describe_roles, weigh_evidence

__all__ = ["ROLES", "Recipe", "describe_roles", "generate_demo", "weigh_evidence"]
