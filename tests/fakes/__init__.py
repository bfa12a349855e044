"""Stand-ins for what is outside a layer: a scripted network, and a server in memory."""
