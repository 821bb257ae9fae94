import framework

framework.setup(["accounts", "blog"])
