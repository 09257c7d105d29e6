"""What every process needs whatever it serves: logs, routines, rate limits."""
