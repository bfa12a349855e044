"""The whole file system, without FUSE."""
