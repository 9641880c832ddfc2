"""The sections of a case file, one module per subject."""
