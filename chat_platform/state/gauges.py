"""The length and colour of a budget's gauge."""

_NEARLY_SPENT_PERCENT = 80


def share_of(part: int, whole: int) -> str:
    """Return a part of a whole as a CSS length."""
    return f"{min(100, 100 * part / whole):.1f}%" if whole > 0 else "0%"


def budget_state(spent_nano_usd: int, limit_nano_usd: int) -> str:
    """Return an empty string, `nearly` or `spent`."""
    if spent_nano_usd >= limit_nano_usd:
        return "spent"
    is_near = 100 * spent_nano_usd >= _NEARLY_SPENT_PERCENT * limit_nano_usd
    return "nearly" if is_near else ""
