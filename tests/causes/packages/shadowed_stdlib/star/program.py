import calendar

MAIN = calendar.month
