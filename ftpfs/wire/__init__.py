"""FTP's bytes and texts to values and back. No socket, thread, clock or log."""
