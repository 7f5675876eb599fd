"""The address engine: normalise, parse, index, match, reverse, suggest."""
