"""The ablation lab: any field of a run is an axis, every cell is kept, nothing is run twice."""
