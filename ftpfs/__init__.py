"""ftpfs: mount FTP servers as a local file system."""

__version__ = "0.1.0"
