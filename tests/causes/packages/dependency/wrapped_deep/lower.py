from ledger import entries

LEVEL = entries
