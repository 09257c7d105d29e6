"""Small values and their rules: ids, money, time, texts. Imports nothing but errors."""
