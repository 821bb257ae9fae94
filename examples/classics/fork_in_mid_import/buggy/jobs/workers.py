import os

worker = os.fork()
if worker == 0:
    try:
        from jobs import tables

        os._exit(0 if tables.PRICE == 119 else 1)
    except BaseException:
        os._exit(2)
_, status = os.waitpid(worker, 0)
if status != 0:
    raise RuntimeError(f"the worker ended with status {status}")
