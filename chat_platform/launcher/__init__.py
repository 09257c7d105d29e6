"""Starts and supervises the server and those of its peers that are not configured."""
