import program

program.work()
