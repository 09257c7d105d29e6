"""The messages of an account: pages, search, export."""
