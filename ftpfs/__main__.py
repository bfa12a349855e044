"""`python -m ftpfs`."""

from ftpfs.cli.main import main

main()
