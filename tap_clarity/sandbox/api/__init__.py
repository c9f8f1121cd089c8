"""The emulated API: routes, handlers, and the forms of requests and responses."""
