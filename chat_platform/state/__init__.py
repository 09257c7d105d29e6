"""State classes of the pages: fields and short handlers. Each handler is a public endpoint."""
