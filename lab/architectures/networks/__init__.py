"""The networks, one module per network or family. Each module lists its entries in `NETWORKS` and imports no torch.

A new network is one file here. Its builder is a function in the same file that imports torch inside it, as in
`alexnet.py`. A builder with classes or shared helpers is in a separate module, as for `resnet.py`. Pages sort by
`Architecture.order`: small networks first, then the large ones of the reports.
"""
