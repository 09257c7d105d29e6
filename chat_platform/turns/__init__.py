"""A turn's life: opened, run, recorded, followed, ended exactly once."""
