"""Pure maps: arguments to drives, drives to sets, keys to sets, parity."""
