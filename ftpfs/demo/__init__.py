"""A small FTP server of our own, and what the demo shows with it."""
