import program

program.MAIN
