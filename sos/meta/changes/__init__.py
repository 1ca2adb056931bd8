"""What each proposal changes, by kind. Pure; ``sos/meta/transitions.py`` is the way in."""
