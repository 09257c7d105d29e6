"""The ledger of all model calls, and the budgets it maintains."""
