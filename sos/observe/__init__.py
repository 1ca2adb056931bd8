"""Logs, metrics, trace and audit."""
