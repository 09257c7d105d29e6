"""Exact money: integers of nano-dollars in storage, decimal strings at the edges."""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

NANO_PER_USD = 1_000_000_000
_NANO = Decimal(1).scaleb(-9)


def to_nano_usd(amount: str | Decimal | int | float) -> int:
    """Return dollars as nano-dollars, rounded half to even.

    A float (LiteLLM reports costs as floats) is read in its shortest decimal form, as its sender
    printed it. Raises ValueError if it is not a finite number.
    """
    try:
        value = Decimal(repr(amount) if isinstance(amount, float) else amount)
        return int(value.quantize(_NANO, rounding=ROUND_HALF_EVEN).scaleb(9))
    except (InvalidOperation, OverflowError, ValueError) as exc:
        raise ValueError("not an amount of money") from exc


def to_usd_text(nano_usd: int) -> str:
    """Return nano-dollars as the contract's decimal string: `54800` -> `"0.000054800"`."""
    return f"{Decimal(nano_usd).scaleb(-9):.9f}"
