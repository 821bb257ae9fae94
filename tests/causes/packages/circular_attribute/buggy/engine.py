import wheels

START = wheels.SIZE
