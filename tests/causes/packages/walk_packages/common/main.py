import registry

registry.HOOKS
