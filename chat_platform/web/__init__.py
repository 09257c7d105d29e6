"""What the pages stand on: the door before them, languages, Markdown made safe."""
