"""The REST API under `/api/v1`: routes parse, call one domain function, and shape the answer."""
