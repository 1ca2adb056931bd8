"""Handlers of the admin API: parse, call a service, return a value."""
