"""The web pages: pure functions that return components."""
