"""The API on the wire, pure and without I/O."""
