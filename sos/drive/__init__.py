"""One drive: the engine interface and the memory-mapped engine. The only importer of mmap and lmdb."""
