import relpkg.top

relpkg.top.Top()
