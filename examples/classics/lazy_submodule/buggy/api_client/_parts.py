import api_client._transport as transport


class Client:
    def __init__(self) -> None:
        self.transport = transport.Transport()


EXPORTED = {"Client": Client, "Transport": transport.Transport}
