"""Symbolic tracing in a process whose other threads run networks meanwhile.

While torch.fx or torch.export trace, `nn.Module.__call__` and `__getattr__` are replaced for the whole process, and put back in
the order of ends. Two traces at once would leave them replaced for good, after which no network runs any more.
"""

import threading

ONE_AT_A_TIME = threading.RLock()  # hold it around every trace and export
