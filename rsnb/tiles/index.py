"""An index in Python: open it, build it, ask it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsnb.base.paths import adapter_file, user_path
from rsnb.base.shapes import described
from rsnb.data.endings import ENDINGS
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.measures.mixing import mixed
from rsnb.tiles import asking, identity, store
from rsnb.tiles.exact import longest_row, nearest
from rsnb.tiles.files import File
from rsnb.tiles.foreign import percentile
from rsnb.tiles.identity import Encoder
from rsnb.tiles.places import distance, inside
from rsnb.tiles.reading import How, Opened

if TYPE_CHECKING:
    import pandas
    from PIL.Image import Image

WEIGHT = 0.2  # of the words, as lesson 8 finds it on validation for the adapter of the toy world
PLACES = ("lon", "lat", "west", "south", "east", "north")


class Index:
    """Tiles that can be searched; made by :meth:`open` or :meth:`build`.

    >>> index = rsnb.Index.build("tiles", "tiles.index", adapter="adapter.safetensors")
    >>> index.search("a harbour with many boats", top=5)

    ``about`` is what the index knows of itself; ``len(index)`` counts its tiles.
    """

    def __init__(self, path: Path, about: dict[str, Any], model: Encoder | None = None):
        self.path, self.about, self._model = path, about, model
        self.how = How.from_dict(about["source"])

    @classmethod
    def open(cls, path: str | Path, model: Any = None) -> Index:
        """An index that is there.

        Args:
            model: the one that made it, where it cannot be loaded by what the index knows; a CLIP or an adapted one.

        Raises:
            RsnbError: there is none, it is damaged, or the model is another one.
        """
        path = user_path(path)
        about = store.read_about(path)
        if model is not None:
            model = identity.adapted(model)
            identity.refuse_another(about["model"], model, path)
        if not about["complete"]:
            warnings.warn(
                f"{path} is not finished; run the same rsnb index command to go on", RsnbWarning, stacklevel=2
            )
        return cls(path, about, model)

    @classmethod
    def build(
        cls, source: str | Path, path: str | Path, model: Any = None, adapter: str | Path | None = None, **options: Any
    ) -> Index:
        """Index a folder of images, an image, a .tar or a list of STAC items; bring an index that is there up to date.

        Args:
            model: a CLIP or an adapted one; or `adapter`, the file of one. Neither: the mini CLIP as it is, or the
                model of the index that is there.
            options: tile, overlap, bands, scale, asset, batch_size, progress; see
                :func:`rsnb.tiles.building.build`.

        Raises:
            RsnbError: see there.
        """
        import rsnb
        from rsnb.tiles.building import build

        source, path = user_path(source), user_path(path)
        if model is not None and adapter is not None:
            raise RsnbError("give a model, or the file of an adapter, not both")
        file = None if adapter is None else adapter_file(adapter)
        if file is not None:
            model = rsnb.load_adapter(file)
        elif model is None:
            model = identity.load(store.read_about(path)["model"], path) if store.is_index(path) else rsnb.load_clip()
        model = identity.adapted(model)
        build(source, path, model, file, **options)
        return cls.open(path, model)

    def __len__(self) -> int:
        return sum(block["rows"] for block in self.about["blocks"])

    def __repr__(self) -> str:
        return f"<Index {self.path.name}: {len(self):,} tiles, {identity.in_words(self.about['model'])}>"

    @cached_property
    def blocks(self) -> list[np.ndarray]:
        """The embeddings, mapped, each (rows, D) float16."""
        return store.open_blocks(self.path, self.about)

    @cached_property
    def longest(self) -> float:
        """The length of the longest row, which is about 1: what a search needs to know to be exact."""
        return longest_row(self.blocks)

    @property
    def model(self) -> Encoder:
        """The model that made the index; loaded at its first use."""
        if self._model is None:
            self._model = identity.load(self.about["model"], self.path)
        return self._model

    def table(self, columns: Sequence[str] | None = None) -> pandas.DataFrame:
        """What each tile is, or some columns of it; see :func:`rsnb.tiles.store.schema`."""
        return store.read_table(self.path, self.about, columns).to_pandas()

    # --- asking -------------------------------------------------------------------------------------------------
    def search(
        self,
        query: Any,
        top: int = 10,
        words: str | None = None,
        weight: float = WEIGHT,
        near: tuple[float, float, float] | None = None,
        bbox: tuple[float, float, float, float] | None = None,
        min_score: float | None = None,
        keep: np.ndarray | None = None,
    ) -> pandas.DataFrame:
        """The nearest tiles, exactly: best first, equal ones in the order of the index.

        Args:
            query: a sentence; a picture (a Path or a PIL image); a vector (D,) or vectors (Q, D); or a list of
                sentences or pictures.
            top: hits of each query.
            words: what is to be different from a picture, such as "with more trees": image and words together are
                one query; the score is then between 0 and 1, see :func:`rsnb.measures.mixing.mixed`.
            weight: of the words, 0 (the picture alone) to 1.
            near: longitude, latitude, kilometres: tiles whose centre is at most so far away.
            bbox: west, south, east, north: tiles that reach into it.
            min_score: the least score.
            keep: (N,) bool, the rows of :meth:`table` that may be hits.

        Returns:
            A row for each hit: query, rank (from 1), score (cosine), percentile (of a sentence only: the share of the
            foreign ones whose *best* hit scores lower, whatever the rank of this one; see
            :mod:`rsnb.tiles.foreign`), row (its number in :meth:`table`), and the columns of the table. A GeoDataFrame
            where geopandas is installed and the tiles have places.
        """
        if top < 1:
            raise RsnbError(f"top must be at least 1, not {top}")
        names, vectors, foreign = self._vectors(query)
        allowed = self._allowed(near, bbox)
        if keep is not None:
            keep = np.asarray(keep)
            if keep.shape != (len(self),) or keep.dtype != bool:
                raise RsnbError(f"keep has {described(keep)}; give ({len(self)},) of bool, one for each tile")
            allowed = keep if allowed is None else allowed & keep
        if words is None:
            scores, rows = nearest(self.blocks, vectors, top, allowed, self.longest)
        else:
            if foreign:
                raise RsnbError("words go with a picture; of a sentence they can be a part")
            names, foreign = [f"{name} + {words}" for name in names], False
            scores, rows = self._composed(vectors, asking.of_texts(self.model, [words]), weight, top, allowed)
        with store.damage(self.path):
            return self._frame(names, scores, rows, foreign, min_score)

    def _composed(
        self, pictures: np.ndarray, words: np.ndarray, weight: float, top: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores and rows (Q, k) of pictures (Q, D) with words (1, D): each on the scale of the whole index, mixed."""
        import torch

        found = []
        for picture in pictures:
            image, text = torch.from_numpy(self._products(np.stack([picture, words[0]])))[:, None]
            score = mixed(image, text, weight)[0].float().numpy()
            rows = np.arange(len(score)) if allowed is None else np.flatnonzero(allowed)
            order = rows[np.argsort(-score[rows], kind="stable")[:top]]
            found.append((score[order], order))
        return np.stack([score for score, _ in found]), np.stack([rows for _, rows in found])

    def _products(self, vectors: np.ndarray) -> np.ndarray:
        return np.concatenate([vectors @ block.astype(np.float32).T for block in self.blocks], axis=1)

    def scores(self, query: Any) -> np.ndarray:
        """(Q, N) float32: the cosine of every tile, in the order of :meth:`table`, as for a map."""
        return self._products(self.vectors(query))

    def vectors(self, query: Any) -> np.ndarray:
        """(Q, D) of a query of :meth:`search`, for other programs; rows of unit length."""
        return self._vectors(query)[1]

    def _vectors(self, query: Any) -> tuple[list[str], np.ndarray, bool]:
        """The queries' names, (Q, D), and whether all are sentences."""
        from PIL.Image import Image as Picture

        several = list(query) if isinstance(query, (list, tuple)) and query else [query]
        if all(isinstance(one, str) for one in several):
            for one in several:
                if one.lower().endswith(ENDINGS) and Path(one).is_file():
                    raise RsnbError(f"{one} is an image; give pathlib.Path({one!r}) to search tiles like it")
            return several, asking.of_texts(self.model, several), True
        if all(isinstance(one, (Path, Picture)) for one in several):
            names = [f"image: {one.name}" if isinstance(one, Path) else "image" for one in several]
            return names, np.stack([asking.of_picture(self.model, one, self.how.view) for one in several]), False
        found = asking.of_numbers(query, self.about["width"])
        return [f"vector {n}" for n in range(1, len(found) + 1)], found, False

    def _allowed(self, near, bbox) -> np.ndarray | None:
        if near is None and bbox is None:
            return None
        table = {name: column.to_numpy() for name, column in self.table(PLACES).items()}
        if np.isnan(table["lon"]).all():
            raise RsnbError(f"no tile of {self.path} has a place; search without a region")
        found = np.ones(len(self), dtype=bool)
        if near is not None:
            lon, lat, km = near
            if not (-180 <= lon <= 180 and -90 <= lat <= 90 and km > 0):
                raise RsnbError(
                    f"near {lon},{lat},{km}: give a longitude, a latitude and kilometres, such as 8.54,47.37,5"
                )
            with np.errstate(invalid="ignore"):
                found &= distance(table["lon"], table["lat"], (lon, lat)) <= km
        if bbox is not None:
            west, south, east, north = bbox
            if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
                raise RsnbError(f"bbox {west},{south},{east},{north}: give west, south, east, north in degrees")
            found &= inside(table, bbox)
        return found

    def _frame(self, names, scores, rows, foreign: bool, min_score: float | None) -> pandas.DataFrame:
        import pandas

        count = scores.shape[1]
        flat, place = scores.ravel(), rows.ravel()
        table = store.read_rows(self.path, self.about, place.tolist()).to_pandas()
        known = self.about.get("foreign") or []
        unusual = percentile(flat, known) if foreign and known else np.full(len(flat), np.nan)
        head = {
            "query": np.repeat(np.array(names, dtype=object), count),
            "rank": np.tile(np.arange(1, count + 1), len(names)),
        }
        head |= {"score": flat, "percentile": unusual, "row": place}
        found = pandas.concat([pandas.DataFrame(head), table], axis=1)
        if min_score is not None:
            found = found[found["score"] >= min_score].reset_index(drop=True)
        return _with_geometry(found)

    def picture(self, hit: Any) -> Image:
        """The picture of a hit (a row of :meth:`search` or :meth:`table`), as the model saw it before resizing.

        Raises:
            RsnbError: its file is gone, or cannot be read.
        """
        start = hit["start"]
        start = None if start is None or start != start else int(start)
        file = File(hit["path"], int(hit["bytes"]), 0, start)
        root = Path(self.about["source"]["root"])
        if not file.place(root).resolve().is_relative_to(root.resolve()):
            raise RsnbError(f"{hit['path']} lies outside the folder of the index")
        opened = Opened(file, root, self.how)
        window = tuple(int(hit[name]) for name in ("x", "y", "width", "height"))
        found, _ = opened.read(window if opened.is_cut else None)
        if found is None:
            raise RsnbError(f"{hit['path']} has no data there any more")
        return found


def _with_geometry(found: pandas.DataFrame) -> pandas.DataFrame:
    """With a column of polygons, where there are places and geopandas is installed."""
    try:
        import geopandas
        from shapely import Polygon
    except ImportError:
        return found
    if found["corners"].isna().all():
        return found
    shapes = [None if corners is None else Polygon(np.reshape(corners, (4, 2))) for corners in found["corners"]]
    return geopandas.GeoDataFrame(found, geometry=shapes, crs="EPSG:4326")
