"""What is measured, for every program alike: sizes of a model and of a step."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """`recipe` and `settings` give Weft the same model and step."""
    recipe: str
    settings: tuple[str, ...] = ()
    dim: int = 384
    ffn: int = 1024
    layers: int = 6
    heads: int = 6
    vocab: int = 256
    batch: int = 16
    seq: int = 256
    experts: int = 0  # 0 = dense; else of width `ffn`, two a token, beside one shared


CASES = {
    "dense": Case("dense.toml"),
    "dense_long": Case("dense.toml", ("train.batch=1", "train.micro_batch=1", "train.seq=2048"), batch=1, seq=2048),
    "dense_134m": Case("dense.toml", ("train.batch=4", "train.micro_batch=4", "train.seq=512", "model.vocab=32000", "model.dim=768", "model.ffn=2048",
                                      "model.layers=12", "model.heads=12", "model.kv_heads=12"),
                       dim=768, ffn=2048, layers=12, heads=12, vocab=32000, batch=4, seq=512),
    "moe": Case("moe.toml", dim=256, ffn=256, heads=4, experts=8),
}
