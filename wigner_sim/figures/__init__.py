"""Parts of figures and movies: lazily read frames, panels, and the figures themselves."""
