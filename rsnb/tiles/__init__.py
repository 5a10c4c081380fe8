"""A folder of tiles without captions, searched by words and by images.

An index is a folder: fp16 embeddings in safetensors blocks and one Parquet table of what each row is
(:mod:`rsnb.tiles.store`). It is built from files (:mod:`rsnb.tiles.building`), searched exactly
(:mod:`rsnb.tiles.exact`) and opened in Python as :class:`rsnb.tiles.index.Index`.
"""
