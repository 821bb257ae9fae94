import os

from jobs import tables  # before the fork: the worker finds it finished

worker = os.fork()
if worker == 0:
    os._exit(0 if tables.PRICE == 119 else 1)
_, status = os.waitpid(worker, 0)
if status != 0:
    raise RuntimeError(f"the worker ended with status {status}")
