"""Galleries on a Milvus server, for more records than one machine holds."""

from likewise.gallery.milvus.place import INDEXES, Place
from likewise.gallery.milvus.store import MilvusStore

__all__ = ["INDEXES", "MilvusStore", "Place"]
