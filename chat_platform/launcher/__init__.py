"""Starts and supervises the server and the peers that are not configured."""
