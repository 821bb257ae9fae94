import handlers

handlers.REGISTRY
