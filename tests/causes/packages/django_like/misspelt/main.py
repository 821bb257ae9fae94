import framework

framework.setup(["accounts", "blgo"])
