import engine

engine.START
