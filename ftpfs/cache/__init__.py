"""What may be forgotten at any time: the answers stay right, only slower."""
