from tables import codec

VALUE = codec
