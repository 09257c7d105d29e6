"""Texts that programs easily cut, drop or fail on."""

KEPT = {
    "family": "Ana 👨\u200d👩\u200d👧",
    "persian": "علی\u200cرضا",
    "sinhala": "ක්\u200dරිස්ටීන්",
    "flags": "🇺🇦 🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "newer": "\U0001fae9 \U0001f6d9",
    "decomposed": "Zoe\u0308",
}
ODD = {
    "unseen": "\u200b\u2060\u3164",
    "bidi": "Ana\u202eanA",
    "half": "Ana \ud83d",
    "nul": "Ana\0",
    "long": "x" * 100_000,
}
