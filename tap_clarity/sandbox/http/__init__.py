"""HTTP on loopback: the server, requests and responses, and how a response is sent."""
