"""Groups of writes, each group one transaction, on the drivers' own calls. Knows no table."""
