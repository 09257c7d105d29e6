"""The ledger of every model call, and the budgets that it keeps."""
