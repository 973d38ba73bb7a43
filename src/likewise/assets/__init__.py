"""Named data sets: what they are, where their files are found, and proof that they are the right ones."""

from likewise.assets.catalogue import ASSETS, Asset, AssetFile
from likewise.assets.fetching import AssetStatus, Progress, fetch, status
from likewise.assets.places import cache_folder, data_folder

__all__ = [
    "ASSETS",
    "Asset",
    "AssetFile",
    "AssetStatus",
    "Progress",
    "cache_folder",
    "data_folder",
    "fetch",
    "status",
]
