"""How fast the package is, always as a ratio to a named rival in the same run: `make bench`."""
