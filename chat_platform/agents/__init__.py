"""Each account's agent: its memory blocks, its archive, and the lock on both."""
