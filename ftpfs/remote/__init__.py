"""The server as files: paths in; entries, byte streams and typed errors out."""
