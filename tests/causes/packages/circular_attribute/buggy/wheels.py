import engine

SIZE = engine.START + 1
