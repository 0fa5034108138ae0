"""The purifiers: float32 `(n, 3, H, W)` on the 0..255 scale in, the same out, any size.

`median` and `gated` yield whole levels and tell with `passes(images)` which colors each position may take without
being replaced: uint8 `(n, H, W, 8, 3)`, the extreme ones.
"""
