"""Check characters: ISO/IEC 7064 MOD 11,10 (GB/T 17710), one digit for strings of digits.

It finds every single wrong digit and nearly every swap of neighbours. Whether GB/T 39609 asks for
a check digit is not verified; the city's profile says if codes here carry one.
"""

from __future__ import annotations


def mod_11_10(digits: str) -> str:
    """The check digit of a string of digits; ValueError for anything else."""
    if not digits.isascii() or not digits.isdigit():
        raise ValueError(f"只能是数字 digits only, got {digits[:40]!r}")
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10
        product = (total or 10) * 2 % 11
    return str((11 - product) % 10)


def has_valid_check(code: str) -> bool:
    """Whether the last digit of a code is the check digit of those before it."""
    return code.isascii() and code.isdigit() and len(code) > 1 and mod_11_10(code[:-1]) == code[-1]
