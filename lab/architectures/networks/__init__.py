"""The networks, one module a network or family: each module here has its entries in `NETWORKS` and imports no torch.

A new network is one file here. Its builder is a function of the same file with torch imported inside it, as in
`alexnet.py`; where there are classes or helpers to share, it is named in a module of its own, as in `resnet.py`.
The order of the pages is that of `Architecture.order`: small networks first, then the reports' large ones.
"""
