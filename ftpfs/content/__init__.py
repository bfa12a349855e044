"""The bytes of files: read from the server in streams and blocks, written to a spool."""
