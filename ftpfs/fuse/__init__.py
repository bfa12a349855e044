"""The FUSE side: the only place that knows the binding, errno and struct stat."""
