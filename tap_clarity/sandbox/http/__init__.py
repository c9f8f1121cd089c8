"""HTTP on loopback: server, middleware, requests and responses."""
