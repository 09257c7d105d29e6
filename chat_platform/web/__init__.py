"""What the pages are built on: request routing, languages, safe Markdown."""
