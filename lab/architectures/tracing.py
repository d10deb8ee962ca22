"""Symbolic tracing in a process whose other threads run networks at the same time.

While torch.fx or torch.export traces, `nn.Module.__call__` and `__getattr__` are replaced in the whole process and
restored when the trace ends. Two concurrent traces could leave them replaced permanently, after which no network runs.
"""

import threading

ONE_AT_A_TIME = threading.RLock()  # hold it around every trace and export
