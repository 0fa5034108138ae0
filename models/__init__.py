"""The PyTorch networks, their data and training, and the released weights.

Import rule: imports none of pixelproof's other folders; PyTorch only in the modules that define or train networks.
"""
