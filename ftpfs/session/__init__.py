"""Control connections: transport, one session, and the pool that lends sessions."""
