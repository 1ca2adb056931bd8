"""Keys and what is sealed with them. Nothing here knows where sealed things are stored."""
