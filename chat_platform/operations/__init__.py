"""What an operator watches: figures about everybody and everything, and never content."""
