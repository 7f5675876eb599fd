"""Makers of cases by subject; importing them registers them."""

from tests.eval.kinds import beyond, divisions, further, misspelt, numbers, otherwise, places, prose

__all__ = ["beyond", "divisions", "further", "misspelt", "numbers", "otherwise", "places", "prose"]
