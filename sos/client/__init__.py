"""``sos client``: a client for machines that have no ``mc``. It takes the same arguments and shares mc's configuration.

Reading order: ``aliases`` (who and where), ``connection`` (the libraries that talk), ``remote`` and ``local`` (the two kinds
of places), ``transfer`` and ``crew`` (bytes from one to the other), ``commands`` (one file per family of commands).

What it keeps:

1. A download never writes outside of the folder it was told: no key climbs out, no symbolic link is followed.
2. A file or object has its name only when all of its bytes were verified; an interrupted transfer leaves nothing behind.
3. A secret is printed only where it is asked for (``alias export``, a key that was just made), never with an error.
"""
