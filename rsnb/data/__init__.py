"""Captioned remote-sensing images: load them, inspect them, hand them to an encoder."""

from __future__ import annotations

from rsnb.data.dataset import CaptionDataset, Item
from rsnb.data.detect import LAYOUTS
from rsnb.data.load import load_dataset
from rsnb.data.pixels import PixelStore
from rsnb.data.report import DatasetReport, report

__all__ = ["LAYOUTS", "CaptionDataset", "DatasetReport", "Item", "PixelStore", "load_dataset", "report"]
