"""Trees of files, on the local disk and on servers: walking, copying, synchronising, removing."""
